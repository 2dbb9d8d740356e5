"""How many statements an event costs: a number that may only change on purpose."""

from tests.integration.bus.harness import House, an_account, until
from tests.statements import statements


async def test_emitting_costs_one_statement_however_many_events(replica: House) -> None:
    async with statements(replica.database.requests) as sent:
        await replica.emit(an_account(), "a", "b", "c")
    assert sent == ["BEGIN", "COMMIT", "WITH incoming"]


async def test_handling_costs_one_statement_beside_the_handlers_own(replica: House) -> None:
    await replica.emit(an_account(), "a")
    async with statements(replica.database.bus.engine) as sent, replica.running():
        await until(lambda: handled(replica))
    assert sent == ["BEGIN", "COMMIT", "INSERT INTO", "WITH fence"]


async def handled(replica: House) -> bool:
    return await replica.count("receipt") == 1
