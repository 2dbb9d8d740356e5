"""An operator without experience repairs a parked handler by following the printed hints."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from govid.bus import BusSettings, Database
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


class Mendable:
    """A handler's department, which fails until the test repairs it."""

    def __init__(self) -> None:
        self.broken = True

    async def answer(self, delivery: Any) -> None:
        if self.broken:
            raise LookupError("no such clinic")


@pytest.fixture
def department() -> Mendable:
    return Mendable()


@pytest.fixture
async def impatient(
    bus_settings: BusSettings, database: Database, department: Mendable
) -> BusFixture:
    """Return a replica that parks a key at its first failure."""
    await create_ledger(bus_settings.database_url)
    settings = msgspec.structs.replace(bus_settings, max_attempts=1)
    return BusFixture(settings, database, LedgerHandler(department.answer))


@pytest.fixture
def person(runner: CliRunner) -> Callable[[str], Any]:
    """Return an operator who runs a printed command line and adds a reason."""

    def types(line: str) -> Any:
        words = line.replace("'...'", "mended").split()[1:]
        asks = {"retry", "discard", "unpark"} & set(words)
        return in_thread(
            lambda *a: runner.invoke(commands, a), *words, *(["--yes"] if asks else [])
        )

    return types


def proposed(result: Result, verb: str) -> str:
    """Return the command with *verb* that *result* names."""
    assert result.exit_code == 0, result.output
    found = re.search(rf"`(govid outbox {verb}[^`]*)`", result.stderr)
    assert found is not None, result.stderr
    return found[1]


async def test_a_person_mends_a_parked_handler_by_what_the_commands_say(
    impatient: BusFixture, department: Mendable, person: Any
) -> None:
    async with impatient.run():
        await impatient.emit(an_account(), "first", "behind it")
        await impatient.emit(an_account(), "another")
        await wait_until(lambda: parked(impatient, 2))

        status = await person("govid outbox status")
        groups = await person(proposed(status, "groups"))
        assert "LookupError" in groups.stdout
        shown = await person(proposed(groups, "show"))
        assert "no such clinic" not in shown.output
        # The person mends what the group names, and does what it says.
        department.broken = False
        retried = await person(proposed(groups, "retry"))
        assert retried.stdout == f"subscriber\tdeliveries\n{NAME}\t2\n"
        async with asyncio.timeout(20):
            await wait_until(lambda: settled(impatient, 3))
        after = await person(proposed(retried, "status"))
        # The deliveries of the relay are still pending: this test has no Kafka.
        assert "Parked" not in after.stderr
        line = next(one for one in after.stdout.splitlines() if one.startswith(NAME))
        assert line.split("\t")[1:] == ["0", "-", "0", "0", "0"]
    assert sorted(await impatient.labels()) == ["another", "behind it", "first"]


async def test_r10_a_running_server_notices_within_its_poll_interval(
    impatient: BusFixture, department: Mendable, person: Any
) -> None:
    async with impatient.run():
        await impatient.emit(an_account(), "first")
        await wait_until(lambda: parked(impatient, 1))
        department.broken = False
        loop = asyncio.get_running_loop()
        await person(f"govid outbox unpark --subscriber {NAME} --reason '...'")
        began = loop.time()
        await wait_until(lambda: settled(impatient, 1))
        # One poll interval, and something for a machine that has other work.
        assert loop.time() - began < impatient.settings.poll_seconds + 1


async def test_r10_what_fails_again_after_an_unpark_is_parked_again_at_once(
    impatient: BusFixture, department: Mendable, person: Any
) -> None:
    async with impatient.run():
        await impatient.emit(an_account(), "first")
        await wait_until(lambda: parked(impatient, 1))
        await person(f"govid outbox unpark --subscriber {NAME} --reason '...'")
        await wait_until(lambda: failed(impatient, 2))
        assert await parked(impatient, 1)


async def test_r10_a_discarded_head_lets_the_next_through(
    impatient: BusFixture, department: Mendable, person: Any
) -> None:
    async with impatient.run():
        await impatient.emit(an_account(), "poison", "behind it")
        await wait_until(lambda: parked(impatient, 1))
        department.broken = False
        await person(f"govid outbox discard --subscriber {NAME} --reason '...'")
        await wait_until(lambda: settled(impatient, 2))
    assert await impatient.labels() == ["behind it"]


async def parked(replica: BusFixture, count: int) -> bool:
    query = "SELECT count(*) FROM bus.parked WHERE until = 'infinity'"
    return bool(await replica.database.reads.fetchval(query) == count)


async def failed(replica: BusFixture, attempts: int) -> bool:
    query = "SELECT max(attempts) FROM bus.parked WHERE until = 'infinity'"
    return bool(await replica.database.reads.fetchval(query) == attempts)


async def settled(replica: BusFixture, count: int) -> bool:
    query = "SELECT count(*) FROM bus.receipt WHERE subscriber = $1"
    return bool(await replica.database.reads.fetchval(query, NAME) == count)
