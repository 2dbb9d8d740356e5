"""Events that this release cannot decode wait for a release that can (r9)."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from govid.bus import BusSettings, Database
from govid.bus.events.registry import EVENT_TYPES, EventRegistry
from govid.gateway.cli.commands import commands
from tests.integration.bus.harness import (
    NAME,
    BusFixture,
    LedgerHandler,
    an_account,
    create_ledger,
    wait_until,
)
from tests.integration.cli.conftest import in_thread


@pytest.fixture
def govid(runner: CliRunner) -> Callable[..., Result]:
    return lambda *arguments: runner.invoke(commands, arguments)


async def test_r9_after_a_redeploy_unpark_delivers_what_was_unknown(
    bus_settings: BusSettings, database: Database, govid: Callable[..., Result]
) -> None:
    await create_ledger(bus_settings.database_url)
    older = BusFixture(bus_settings, database, LedgerHandler())
    older.dispatcher._registry = EventRegistry(
        [kind for kind in EVENT_TYPES if kind.name != "identity.verification.requested"]
    )
    account = an_account()
    async with older.run():
        await older.emit(account, "first", "second")
        await wait_until(lambda: is_parked(older))
    assert older.handler.prepared == []

    newer = BusFixture(bus_settings, database, LedgerHandler())
    async with newer.run():
        result = await in_thread(
            govid, "outbox", "unpark", "--subscriber", NAME, "--reason", "1.5 knows it", "--yes"
        )
        assert result.exit_code == 0, result.output
        await wait_until(lambda: nothing_pending(newer))
    assert await newer.labels() == ["first", "second"]


async def is_parked(replica: BusFixture) -> bool:
    query = "SELECT count(*) FROM bus.parked WHERE reason = 'unknown_type' AND until = 'infinity'"
    return bool(await replica.database.reads.fetchval(query) == 1)


async def nothing_pending(replica: BusFixture) -> bool:
    return await replica.count_pending() == 0
