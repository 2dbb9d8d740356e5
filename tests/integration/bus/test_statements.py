"""How many statements an event costs: a number that may only change on purpose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.integration.bus.harness import House, an_account, until


@asynccontextmanager
async def counted(engine: AsyncEngine) -> AsyncIterator[list[str]]:
    """Collect the first word of each statement that SQLAlchemy sends, COMMIT and BEGIN aside."""
    seen: list[str] = []

    def remember(_c: object, _cursor: object, statement: str, *_: object) -> None:
        lines = [line for line in statement.splitlines() if not line.startswith("--")]
        seen.append(lines[0].split()[0])

    event.listen(engine.sync_engine, "before_cursor_execute", remember)
    try:
        yield seen
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", remember)


async def test_emitting_costs_one_statement_however_many_events(house: House) -> None:
    async with counted(house.database.requests) as seen:
        await house.emit(an_account(), "a", "b", "c")
    assert seen == ["WITH"]


async def test_handling_costs_one_statement_beside_the_handlers_own(house: House) -> None:
    await house.emit(an_account(), "a")
    async with counted(house.database.bus) as seen, house.running():
        await until(lambda: handled(house))
    assert seen == ["WITH", "INSERT"]


async def handled(house: House) -> bool:
    return await house.count("receipt") == 1
