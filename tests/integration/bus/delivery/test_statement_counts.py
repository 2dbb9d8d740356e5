"""How many statements an event costs: a number that may only change on purpose."""

from tests.integration.bus.harness import BusFixture, an_account, wait_until
from tests.statements import statements


async def test_emitting_costs_one_statement_however_many_events(replica: BusFixture) -> None:
    async with statements(replica.database.requests) as sent:
        await replica.emit(an_account(), "a", "b", "c")
    assert sent == ["BEGIN", "COMMIT", "WITH incoming"]


async def test_handling_costs_one_statement_beside_the_handlers_own(replica: BusFixture) -> None:
    await replica.emit(an_account(), "a")
    async with statements(replica.database.bus.engine) as sent, replica.run():
        await wait_until(lambda: handled(replica))
    assert sent == ["BEGIN", "COMMIT", "INSERT INTO", "WITH fence"]


async def handled(replica: BusFixture) -> bool:
    return await replica.count("receipt") == 1
