"""What is sent to the database, statement by statement: a count that grows is a decision."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

INTROSPECTION = ("WITH RECURSIVE", "SELECT current_setting('jit')")
"""The driver asks for types it has not met, once a connection: no price of what is measured."""


@asynccontextmanager
async def statements(engine: AsyncEngine) -> AsyncIterator[list[str]]:
    """Collect the first two words of each statement that *engine*'s connections send, sorted.

    Both ways are watched: through SQLAlchemy, and straight to the driver. The driver tells its
    loggers a turn of the loop later, so the order of the two is not known.
    """
    sent: list[str] = []
    watched: list[Any] = []

    def note(statement: str) -> None:
        code = re.sub("^--.*$", "", statement, flags=re.MULTILINE)
        words = " ".join(code.rstrip(";").split()[:2])
        if words not in INTROSPECTION:
            sent.append(words)

    def driver_sent(query: Any) -> None:
        note(query.query)

    def sqlalchemy_sends(_c: object, _cursor: object, statement: str, *_: object) -> None:
        note(statement)

    def watch(dbapi_connection: Any, _record: object, _proxy: object) -> None:
        watched.append(dbapi_connection.driver_connection)
        watched[-1].add_query_logger(driver_sent)

    event.listen(engine.sync_engine, "checkout", watch)
    event.listen(engine.sync_engine, "before_cursor_execute", sqlalchemy_sends)
    try:
        yield sent
        await asyncio.sleep(0)
        sent.sort()
    finally:
        event.remove(engine.sync_engine, "checkout", watch)
        event.remove(engine.sync_engine, "before_cursor_execute", sqlalchemy_sends)
        for driver in watched:
            driver.remove_query_logger(driver_sent)
