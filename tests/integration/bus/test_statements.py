"""How many statements an event costs: a number that may only change on purpose."""

from tests.integration.bus.harness import House, an_account, until
from tests.statements import statements


async def test_emitting_costs_one_statement_however_many_events(house: House) -> None:
    async with statements(house.database.requests) as sent:
        await house.emit(an_account(), "a", "b", "c")
    assert sent == ["BEGIN", "COMMIT", "WITH incoming"]


async def test_handling_costs_one_statement_beside_the_handlers_own(house: House) -> None:
    await house.emit(an_account(), "a")
    async with statements(house.database.bus.engine) as sent, house.running():
        await until(lambda: handled(house))
    assert sent == ["BEGIN", "COMMIT", "INSERT INTO", "WITH fence"]


async def handled(house: House) -> bool:
    return await house.count("receipt") == 1
