"""What health says of the whole when one dependency is not well."""

import pytest

from govid.bus import Database, SystemClock
from govid.gateway.endpoints.health import HealthProbe


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("ok", "ok"),
        ("connecting", "degraded"),
        ("down", "degraded"),
        ("failing", "degraded"),
        ("stopped", "degraded"),
    ],
)
async def test_a3_an_inbox_that_does_not_get_on_degrades_health(
    database: Database, state: str, status: str
) -> None:
    health = HealthProbe(database, lambda: {"inbox": state}, SystemClock(), departments={})
    view = await health.check()
    assert (view.status, view.dependencies["inbox"]) == (status, state)
