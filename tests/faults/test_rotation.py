"""A signing key is rotated without an effect on any client."""

from pathlib import Path

import pytest

from tests.backends.govid import Govid
from tests.faults import rotation

pytestmark = [pytest.mark.database, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_r10_a_key_is_rotated_under_load_and_no_request_fails(
    cluster_database: str, tmp_path: Path
) -> None:
    servers = [
        Govid(tmp_path, database_url=cluster_database, kafka="127.0.0.1:1", extra=rotation.SETTINGS)
        for _ in range(2)
    ]
    servers[0].migrate()
    with servers[0], servers[1]:
        # Slower than the measured figure, because other tests run beside this one.
        outcome = await rotation.run(servers, rate=50, people=10)
    figures = rotation.figures(outcome)
    assert figures["failed"] == 0
    assert figures["refused_outside"] == 0
    assert figures["keys_seen"] == 2
    assert figures["keys_published_at_the_end"] == 2
    assert figures["tokens_checked_outside"] >= 20
