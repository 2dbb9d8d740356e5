"""What `govid check` and `govid serve` find out by asking the database server.

Each act of the service is tried once, in a transaction that is rolled back. Whatever would keep
the service from working is a fault; what is allowed and should be known is a warning.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from govid.bus.consumers import RELAY
from govid.bus.ids import uuid7
from govid.bus.sql import QUERIES
from govid.bus.storage.connection import IS_READ_ONLY, ConnectionFactory
from govid.bus.storage.errors import DATABASE_UNAVAILABLE

SCHEMAS = ("bus", "identity", "nhs", "hmrc")
POOLER_SECONDS = 3.0
PARTITIONED = ("event", "receipt")

_TABLES = """
    SELECT n.nspname || '.' || c.relname AS name, acts.act
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES ('SELECT'), ('INSERT')) AS acts (act)
    WHERE n.nspname = ANY($1::text[]) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND NOT has_table_privilege(c.oid, acts.act)
    ORDER BY 1, 2 DESC
"""
_SEQUENCES = """
    SELECT n.nspname || '.' || c.relname AS name, acts.act
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES ('SELECT'), ('USAGE')) AS acts (act)
    WHERE n.nspname = ANY($1::text[]) AND c.relkind = 'S'
        AND NOT has_sequence_privilege(c.oid, acts.act)
        -- Only the bus asks a sequence where it stands; the others are drawn from.
        AND (acts.act = 'USAGE' OR n.nspname = 'bus')
    ORDER BY 1, 2
"""
_OWNED = """
    SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'bus' AND c.relname = ANY($1::text[])
        AND NOT pg_has_role(c.relowner, 'USAGE')
    ORDER BY 1
"""
_DURABILITY = """
    SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')
"""


async def database_faults(connection: Any, *, allow_unsafe: bool) -> list[str]:
    """Return what keeps govid from working on the server behind *connection*."""
    if await connection.fetchval(IS_READ_ONLY):
        return ["the database accepts no writes: it is a standby, or read-only"]
    found = [f"the database's role may not {right}" for right in await _missing_rights(connection)]
    if not found:
        found = [one async for one in _failed_acts(connection)]
    if not allow_unsafe and await _durability(connection, "fsync") == "off":
        found.append(
            "the database runs with fsync=off and loses what was committed at a power cut; to "
            "allow it, set GOVID_ALLOW_UNSAFE_DATABASE=true"
        )
    return found


async def database_warnings(connection: Any, *, allow_unsafe: bool) -> list[str]:
    """Return what is allowed on the server behind *connection*, and should be known."""
    found = []
    for name in ("fsync", "full_page_writes"):
        value = await _durability(connection, name)
        if value is None:
            found.append(f"the database does not let govid see {name}: it may lose commits")
        elif value == "off" and (name != "fsync" or allow_unsafe):
            found.append(f"the database runs with {name}=off: a power cut may damage its data")
    if not await connection.fetchval("SELECT pg_has_role('pg_read_all_stats', 'USAGE')"):
        found.append(
            "the database's role is no member of pg_read_all_stats: long transactions of others "
            "are not seen, and govid_oldest_transaction_seconds is not measured"
        )
    return found


async def is_pooled_by_transaction(factory: ConnectionFactory) -> bool:
    """Tell whether a pooler in between gives each transaction another session.

    A mark is set on one connection and then looked for while another one is in a transaction: in
    transaction mode that one has been given the session with the mark.
    """
    first = await factory.open(statement_cache_size=0)
    try:
        if first.get_server_pid() == await first.fetchval("SELECT pg_backend_pid()"):
            return False
        mark = str(uuid7())
        await first.execute(f"SET govid.mark = '{mark}'")
        second = await factory.open(statement_cache_size=0)
        try:
            await second.execute("BEGIN")
            borrowed = await second.fetchval("SELECT current_setting('govid.mark', true)")
            async with asyncio.timeout(POOLER_SECONDS):
                kept = await first.fetchval("SELECT current_setting('govid.mark', true)")
        finally:
            second.terminate()
    except TimeoutError:
        return True
    finally:
        first.terminate()
    return bool(borrowed == mark or kept != mark)


async def _missing_rights(connection: Any) -> list[str]:
    rights = [
        f"{row['act']} {kind} {row['name']}"
        for kind, query in (("table", _TABLES), ("sequence", _SEQUENCES))
        for row in await connection.fetch(query, list(SCHEMAS))
    ]
    rights += [
        f"create and drop partitions of bus.{row['name']}, as it does not own the table: "
        "retention could not run"
        for row in await connection.fetch(_OWNED, list(PARTITIONED))
    ]
    if not await connection.fetchval("SELECT has_schema_privilege('bus', 'CREATE')"):
        rights.append("CREATE in schema bus: retention could not run")
    return rights


def _acts(connection: Any) -> Iterator[tuple[str, Callable[[], Awaitable[Any]]]]:
    """Yield one of each act, as the workers do it."""
    replica = uuid7()

    def act(name: str, *arguments: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: connection.fetch(QUERIES[name], *arguments)

    yield "read the backlog", act("horizon")
    yield "renew leases", act("heartbeat", replica, 1, 1.0)
    yield "claim leases", act("claim", RELAY, 1, replica, 1.0)
    yield "release leases", act("release", replica, [RELAY], [0])
    yield "notify other replicas", lambda: connection.fetch("SELECT pg_notify('govid_check', '')")


async def _failed_acts(connection: Any) -> AsyncIterator[str]:
    for name, act in _acts(connection):
        try:
            async with _rolled_back(connection):
                await act()
        except asyncpg.PostgresError as error:
            yield f"the database does not let govid {name} (SQLSTATE {error.sqlstate})"


@asynccontextmanager
async def _rolled_back(connection: Any) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def _durability(connection: Any, name: str) -> str | None:
    """Return the server's setting, or None if it cannot be seen."""
    try:
        rows = await connection.fetch(_DURABILITY)
    except DATABASE_UNAVAILABLE:
        return None
    return {row["name"]: row["setting"] for row in rows}.get(name)
