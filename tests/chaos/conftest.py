"""The stage of the runs, once for all of them."""

import os
from collections.abc import Iterator

import pytest

from tests.backends import kafka
from tests.chaos.stage import Stage, stage


@pytest.fixture(scope="session")
def chaos_stage() -> Iterator[Stage]:
    """Return a PostgreSQL, a Kafka behind a proxy's port, and a nursery of processes."""
    try:
        with stage() as it:
            yield it
    except kafka.Unavailable as reason:
        if os.environ.get("GOVID_CI") == "1":
            pytest.fail(str(reason))
        pytest.skip(str(reason))
