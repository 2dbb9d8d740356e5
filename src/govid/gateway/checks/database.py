"""Checks the database server and the role of govid for `govid check` and `govid serve`.

Each kind of statement of the service is executed once, in a transaction that is rolled back. A
finding that keeps the service from working is a problem; one that is allowed is a warning, for
example a privilege of the role that govid does not need.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import asyncpg

from govid.bus.audit.rules import retention_days
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.settings import AuditSettings
from govid.bus.shared.ids import EPOCH, first_uuid7_at, uuid7
from govid.bus.storage.connection import IS_READ_ONLY, ConnectionFactory
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.bus.storage.partitions import QUERIES as RETENTION_QUERIES
from govid.bus.storage.sql import load_statements
from govid.gateway.database_roles import (
    AUDIT_TABLES,
    CHANGED_ROWS,
    REMOVED_ROWS,
    RETENTION_FUNCTIONS,
    SCHEMAS,
    find_roles,
)

QUERIES = {
    **load_statements("govid.bus.delivery", "backlog.sql"),
    **load_statements("govid.bus.delivery", "failures.sql"),
    **load_statements("govid.bus.delivery", "leases.sql"),
}
POOLER_SECONDS = 3.0
MANY_PRIVILEGES = 10
"""So many missing privileges are explained by their common cause, if there is one."""
PARTITIONED = ("event", "receipt")

PoolMode = Literal["transaction", "statement"]
"""The mode of a connection pooler that does not give each connection a session of its own."""

_NAMESPACES = """
    SELECT nspname AS name, 'USAGE' AS privilege FROM pg_namespace
    WHERE nspname = ANY($1::text[]) AND NOT has_schema_privilege(oid, 'USAGE')
    ORDER BY 1
"""
_TABLES = """
    SELECT n.nspname || '.' || c.relname AS name, needed.privilege
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES ('SELECT'), ('INSERT')) AS needed (privilege)
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND (
            n.nspname = ANY($1::text[])
            -- Only `govid migrate` writes the version.
            OR n.nspname = 'public' AND c.relname = 'govid_version' AND needed.privilege = 'SELECT'
        )
        -- Only `govid migrate` writes the retention.
        AND NOT (n.nspname IN ('audit', 'bus') AND c.relname = 'retention'
            AND needed.privilege = 'INSERT')
        AND NOT has_table_privilege(c.oid, needed.privilege)
    ORDER BY 1, 2 DESC
"""
_CHANGES = """
    SELECT n.nspname || '.' || c.relname AS name, $2 AS privilege
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY($1::text[]) AND NOT has_table_privilege(c.oid, $2)
    ORDER BY 1
"""
_ABSENT_TABLES = """
    SELECT name FROM unnest($1::text[]) AS known(name)
    WHERE NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname || '.' || c.relname = name AND c.relkind IN ('r', 'p'))
    ORDER BY 1
"""
_OTHER_TOPICS = """
    SELECT DISTINCT topic FROM bus.receipt
    WHERE subscriber = $1 AND event_id >= $2 AND topic <> ALL($3::text[])
    ORDER BY 1
"""
RECENT_SECONDS = 300
_SEQUENCES = """
    SELECT n.nspname || '.' || c.relname AS name, needed.privilege
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES ('SELECT'), ('USAGE')) AS needed (privilege)
    WHERE n.nspname = ANY($1::text[]) AND c.relkind = 'S'
        AND NOT has_sequence_privilege(c.oid, needed.privilege)
        -- Only bus and audit log read a sequence's current value; others are only incremented.
        AND (needed.privilege = 'USAGE' OR n.nspname IN ('audit', 'bus'))
    ORDER BY 1, 2
"""
_FUNCTIONS = """
    SELECT wanted AS name
    FROM unnest($1::text[]) AS wanted
    JOIN pg_namespace n ON n.nspname = split_part(wanted, '.', 1)
    JOIN pg_proc p ON p.proname = split_part(wanted, '.', 2) AND p.pronamespace = n.oid
    WHERE NOT has_function_privilege(p.oid, 'EXECUTE')
    ORDER BY 1
"""
_POWERLESS_FUNCTIONS = """
    SELECT DISTINCT n.nspname || '.' || p.proname AS name,
           CASE n.nspname WHEN 'bus' THEN 'bus.event' ELSE 'audit.entry' END AS owned
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_class c ON c.relnamespace = n.oid AND (
        n.nspname = 'bus' AND c.relname = ANY($1::text[])
        OR n.nspname = 'audit' AND c.relname = ANY($2::text[])
    )
    WHERE p.prosecdef AND (
        NOT pg_has_role(p.proowner, c.relowner, 'USAGE')
        -- Only the functions of the bus create tables.
        OR n.nspname = 'bus' AND NOT has_schema_privilege(p.proowner, n.oid, 'CREATE')
    )
    ORDER BY 1
"""
_MEMBERSHIP = """
    SELECT quote_ident(current_user) AS name,
           pg_has_role($1::text, 'MEMBER') AS is_member,
           pg_has_role($1::text, 'USAGE') AS inherits
"""
# The table does not exist before migration 0028.
_CAN_READ_RETENTION = "SELECT has_table_privilege(to_regclass('bus.retention'), 'SELECT')"
_RETENTION = "SELECT (extract(epoch FROM kept_for) / 86400)::float8 FROM bus.retention"
_CAN_READ_AUDIT_RETENTION = "SELECT has_table_privilege(to_regclass('audit.retention'), 'SELECT')"
# For PostgreSQL a year of an interval has 365.25 days, as for `retention_days`.
_AUDIT_RETENTION = """
    SELECT kind, (extract(epoch FROM kept_for) / 86400)::float8 AS days
    FROM audit.retention ORDER BY kind
"""
_DURABILITY = """
    SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')
"""


async def database_problems(
    connection: Any, *, allow_unsafe: bool, schema_fits: bool = True
) -> list[str]:
    """Return all problems that keep govid from working on the server behind *connection*.

    Statements are tried only if *schema_fits* this release: on another schema they fail anyway.
    """
    found = []
    accepts_writes = not await connection.fetchval(IS_READ_ONLY)
    if not accepts_writes:
        found.append(
            "the database accepts no writes: it is a standby, or read-only; promote it, or name "
            "the primary in GOVID_DATABASE_URL"
        )
    rights = await _find_missing_privileges(connection)
    if len(rights) >= MANY_PRIVILEGES and (fault := await _explain_outsider(connection, rights)):
        found.append(fault)
    else:
        found += [f"the database's role may not {right}" for right in rights]
    if schema_fits:
        found += await _find_absent_tables(connection)
        found += await _find_powerless_functions(connection)
    if schema_fits and accepts_writes and not rights:
        found += [one async for one in _find_failed_statements(connection)]
    if not allow_unsafe and await _read_setting(connection, "fsync") == "off":
        found.append(
            "the database runs with fsync=off and loses what was committed at a power cut; to "
            "allow it, set GOVID_ALLOW_UNSAFE_DATABASE=true"
        )
    return found


async def foreign_topic_warnings(connection: Any, topics: Collection[str]) -> list[str]:
    """Warn about topics other than *topics* to which a replica has published recently.

    Replicas of one database share the pending deliveries to Kafka: each would publish a part of
    them to topics that the others' consumers do not read.
    """
    if not await connection.fetchval("SELECT to_regclass('bus.receipt') IS NOT NULL"):
        return []
    since = first_uuid7_at(datetime.now(UTC) - timedelta(seconds=RECENT_SECONDS))
    rows = await connection.fetch(_OTHER_TOPICS, RELAY, since, list(topics))
    return [
        f"events of this database went to topic {row['topic']} in the last {RECENT_SECONDS // 60} "
        "minutes, which is none of these settings: another replica has another GOVID_KAFKA_PREFIX "
        "or topic name, and publishes a part of all events there"
        for row in rows
    ]


async def _find_absent_tables(connection: Any) -> list[str]:
    """Return removed tables of modules; those of schema bus are compared elsewhere."""
    names = {
        f"{schema}.{table}"
        for rows in (CHANGED_ROWS, REMOVED_ROWS)
        for schema, tables in rows.items()
        for table in tables
        if schema != "bus"
    }
    names |= {f"audit.{table}" for table in AUDIT_TABLES}
    rows = await connection.fetch(_ABSENT_TABLES, sorted(names))
    return [
        f"the database lacks table {row['name']}, which a migration has made: bring it back from "
        "a backup (docs/restore.md)"
        for row in rows
    ]


async def _find_powerless_functions(connection: Any) -> list[str]:
    """Return functions of retention that do not have the rights of the tables' owner."""
    rows = await connection.fetch(_POWERLESS_FUNCTIONS, list(PARTITIONED), list(AUDIT_TABLES))
    return [
        f"function {row['name']} belongs to a role without the rights of the owner of "
        f"{row['owned']}: retention could not run; `govid migrate --database-roles` gives all "
        "to one owner"
        for row in rows
    ]


async def database_warnings(connection: Any, *, allow_unsafe: bool) -> list[str]:
    """Return warnings about the server behind *connection*."""
    found = []
    for name in ("fsync", "full_page_writes"):
        value = await _read_setting(connection, name)
        if value is None:
            found.append(f"the database does not let govid see {name}: it may lose commits")
        elif value == "off" and (name != "fsync" or allow_unsafe):
            found.append(f"the database runs with {name}=off: a power cut may damage its data")
    if not await connection.fetchval("SELECT pg_has_role('pg_read_all_stats', 'USAGE')"):
        found.append(
            "the database role is not a member of pg_read_all_stats, so it does not see the "
            "transactions of other roles, and govid_oldest_transaction_seconds is not measured"
        )
    return found


async def retention_warnings(connection: Any, days: float) -> list[str]:
    """Warn if the database keeps rows for longer than *days*, which the settings say."""
    if not await connection.fetchval(_CAN_READ_RETENTION):
        return []
    stored: float | None = await connection.fetchval(_RETENTION)
    if stored is None or stored <= days:
        return []
    text = (
        f"the database keeps events for {stored:g} days, and the settings say {days:g}: `govid "
        "migrate`, run with the same GOVID_RETENTION_DAYS, stores a shorter retention"
    )
    return [text]


async def audit_retention_warnings(connection: Any, settings: AuditSettings) -> list[str]:
    """Warn about each kind of the audit log that the database keeps for longer than *settings*."""
    if not await connection.fetchval(_CAN_READ_AUDIT_RETENTION):
        return []
    wanted = retention_days(settings)
    return [
        f"the audit log keeps {row['kind']} for {row['days']:g} days, and the settings say "
        f"{wanted[row['kind']]}: `govid migrate`, run with the same GOVID_AUDIT settings, stores a "
        "shorter retention"
        for row in await connection.fetch(_AUDIT_RETENTION)
        if row["days"] > wanted.get(row["kind"], row["days"])
    ]


async def detect_pool_mode(factory: ConnectionFactory) -> PoolMode | None:
    """Detect a connection pooler that assigns sessions per transaction or per statement.

    A marker is set on one connection and read on another one inside a transaction: in transaction
    mode that one has got the session with the marker. In statement mode a transaction ends the
    connection.
    """
    first = await factory.connect(statement_cache_size=0)
    try:
        if first.get_server_pid() == await first.fetchval("SELECT pg_backend_pid()"):
            return None
        marker = str(uuid7())
        await first.execute(f"SET govid.mark = '{marker}'")
        second = await factory.connect(statement_cache_size=0)
        try:
            if not await _can_begin(second):
                return "statement"
            borrowed = await second.fetchval("SELECT current_setting('govid.mark', true)")
            async with asyncio.timeout(POOLER_SECONDS):
                kept = await first.fetchval("SELECT current_setting('govid.mark', true)")
        finally:
            second.terminate()
    except TimeoutError:
        return "transaction"
    finally:
        first.terminate()
    return "transaction" if borrowed == marker or kept != marker else None


async def _can_begin(connection: Any) -> bool:
    """Begin a transaction; return False if that ended the connection."""
    try:
        await connection.execute("BEGIN")
    except asyncpg.PostgresConnectionError:
        return False
    return True


async def _find_missing_privileges(connection: Any) -> list[str]:
    rights = [
        f"{row['privilege']} {kind} {row['name']}"
        for kind, query in (
            ("schema", _NAMESPACES),
            ("table", _TABLES),
            ("sequence", _SEQUENCES),
        )
        for row in await connection.fetch(query, list(SCHEMAS))
    ]
    rights += [
        f"{row['privilege']} table {row['name']}"
        for privilege, tables in (("UPDATE", CHANGED_ROWS), ("DELETE", REMOVED_ROWS))
        for row in await connection.fetch(
            _CHANGES,
            [f"{schema}.{name}" for schema in tables for name in tables[schema]],
            privilege,
        )
    ]
    rights += [
        f"EXECUTE function {row['name']}: retention could not run"
        for row in await connection.fetch(_FUNCTIONS, list(RETENTION_FUNCTIONS))
    ]
    return rights


async def _explain_outsider(connection: Any, rights: Collection[str]) -> str | None:
    """Return why the role lacks *rights* if it lacks the privileges of the application's role."""
    roles = await find_roles(connection)
    if roles is None:
        return None
    row = await connection.fetchrow(_MEMBERSHIP, roles.application)
    if row["inherits"]:
        return None
    name, lacks = row["name"], f"so that it lacks {len(rights)} privileges"
    if row["is_member"]:
        return (
            f"the database's role {name} does not inherit {roles.application}, {lacks}: ALTER ROLE "
            f"{name} INHERIT, or since PostgreSQL 16 GRANT {roles.application} TO {name} WITH "
            "INHERIT TRUE"
        )
    return (
        f"the database's role {name} is not a member of {roles.application}, {lacks}: GRANT "
        f"{roles.application} TO {name}"
    )


def _build_statements(connection: Any) -> Iterator[tuple[str, Callable[[], Awaitable[Any]]]]:
    """Yield one statement of each kind, as the workers execute it."""
    replica = uuid7()

    def query(name: str, *arguments: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: connection.fetch(QUERIES[name], *arguments)

    def retain(name: str, *arguments: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: connection.fetch(RETENTION_QUERIES[name], *arguments)

    today = datetime.now(UTC).date()
    yield "read the backlog", query("horizon")
    yield "renew leases", query("heartbeat", replica, 1, 1.0)
    yield "claim leases", query("claim", RELAY, 1, replica, 1.0)
    yield "release leases", query("release", replica, [RELAY], [0])
    yield (
        "park keys",
        query("park", RELAY, 0, replica, 1, "check", replica, 1.0, 1, "error", "check", "check"),
    )
    # On a database in use none of them has to change anything, or waits for a lock.
    yield "create partitions", retain("attach_day", "event", today, True)
    yield "end a check of partitions", retain("end_exclusion", "event")
    yield "drop partitions", retain("drop_day", "event_default", EPOCH)
    yield "empty default partitions", retain("empty_default", "event", EPOCH)
    yield "delete aged rows", retain("delete_aged", "inbox", EPOCH, 1)
    yield "notify other replicas", lambda: connection.fetch("SELECT pg_notify('govid_check', '')")


async def _find_failed_statements(connection: Any) -> AsyncIterator[str]:
    for name, execute in _build_statements(connection):
        try:
            async with _rolled_back(connection):
                await execute()
        except asyncpg.LockNotAvailableError:
            continue  # It was allowed to try; retention would try again later.
        except asyncpg.PostgresError as error:
            yield f"the database does not let govid {name} (SQLSTATE {error.sqlstate})"


@asynccontextmanager
async def _rolled_back(connection: Any) -> AsyncIterator[None]:
    # As retention does, which its functions demand: the role may have another default.
    transaction = connection.transaction(isolation="read_committed")
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def _read_setting(connection: Any, name: str) -> str | None:
    """Return the server's setting *name*, or None if it is not visible."""
    try:
        rows = await connection.fetch(_DURABILITY)
    except DRIVER_ERRORS:
        return None
    return {row["name"]: row["setting"] for row in rows}.get(name)
