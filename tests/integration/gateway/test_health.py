"""What health says of the whole when one dependency is not well."""

import asyncio

import pytest

from govid.bus import BusSettings, Database, SystemClock
from govid.gateway.endpoints.health import DatabaseDetails, HealthProbe
from govid.gateway.schema_version import head_revision


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


async def test_details_of_a_database_that_is_away_are_left_out() -> None:
    settings = BusSettings(
        database_url="postgresql://ada@127.0.0.1:1/none",
        kafka_bootstrap_servers="",
        pseudonym_key=b"a key for tests, 32 bytes or more",
    )
    health = HealthProbe(Database(settings), dict, SystemClock(), departments={})
    view = await health.check_details()
    assert view.dependencies == {"database": "down"}
    assert view.database == DatabaseDetails(expected_schema=head_revision())


async def test_callers_share_the_queries_of_details(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = HealthProbe(database, dict, SystemClock(), departments={})
    await health.check()
    queries: list[str] = []
    fetchrow = database.reads.fetchrow

    async def count(query: str, *values: object) -> object:
        queries.append(query)
        return await fetchrow(query, *values)

    monkeypatch.setattr(database.reads, "fetchrow", count)
    views = [await health.check_details()]
    views += await asyncio.gather(*(health.check_details() for _ in range(50)))
    assert len([one for one in queries if "server_version" in one]) == 1
    assert {view.database for view in views} == {views[0].database}
    assert views[0].database.mode == "primary"
