"""What this release cannot read waits for one that can (r9)."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from govid.bus import BusSettings, Database
from govid.bus.catalogue import Catalogue
from govid.bus.event_types import EVENT_TYPES
from govid.gateway.cli.group import commands
from tests.integration.bus.harness import NAME, House, Ledger, an_account, create_ledger, until
from tests.integration.cli.conftest import in_thread


@pytest.fixture
def govid(runner: CliRunner) -> Callable[..., Result]:
    return lambda *arguments: runner.invoke(commands, arguments)


async def test_r9_after_a_redeploy_unpark_delivers_what_was_unknown(
    bus_settings: BusSettings, database: Database, govid: Callable[..., Result]
) -> None:
    await create_ledger(bus_settings.database_url)
    older = House(bus_settings, database, Ledger())
    older.dispatcher._catalogue = Catalogue(
        [kind for kind in EVENT_TYPES if kind.name != "identity.verification.requested"]
    )
    account = an_account()
    async with older.running():
        await older.emit(account, "first", "second")
        await until(lambda: is_parked(older))
    assert older.handler.prepared == []

    newer = House(bus_settings, database, Ledger())
    async with newer.running():
        result = await in_thread(
            govid, "outbox", "unpark", "--subscriber", NAME, "--reason", "1.5 knows it", "--yes"
        )
        assert result.exit_code == 0, result.output
        await until(lambda: nothing_owed(newer))
    assert await newer.labels() == ["first", "second"]


async def is_parked(replica: House) -> bool:
    query = "SELECT count(*) FROM bus.parked WHERE reason = 'unknown_type' AND until = 'infinity'"
    return bool(await replica.database.reads.fetchval(query) == 1)


async def nothing_owed(replica: House) -> bool:
    return await replica.owed() == 0
