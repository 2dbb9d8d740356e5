"""C9, C12, C13: a role with too few rights, hidden rows, and servers that lose commits."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import asyncpg
import httpx
import pytest

from govid.bus import BusSettings, Database
from govid.bus.gauges import DatabaseSampler
from govid.bus.storage.connection import ConnectionFactory
from govid.gateway.checks.database import database_problems, database_warnings
from govid.gateway.database_roles import CHANGED_ROWS, REMOVED_ROWS, RETENTION_FUNCTIONS
from govid.gateway.migrations import upgrade
from tests.backends.debian_postgres import DebianServer, debian_server
from tests.http.serving import demonstration, serving

ROLE = "service"
SCHEMAS = "audit, bus, identity, nhs, hmrc"
EVERYTHING_BUT_OWNERSHIP = (
    f"GRANT USAGE ON SCHEMA {SCHEMAS} TO {ROLE}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMAS}, public TO {ROLE}",
    f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {SCHEMAS} TO {ROLE}",
    f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMAS} TO {ROLE}",
)


@pytest.fixture(scope="module")
def server() -> Iterator[DebianServer]:
    """Return a migrated server with a role that owns nothing."""
    with debian_server() as running:
        upgrade(running.url())
        asyncio.run(
            running.execute(
                f"CREATE ROLE {ROLE} LOGIN PASSWORD '{running.password}'",
                *EVERYTHING_BUT_OWNERSHIP,
            )
        )
        yield running


async def faults(url: str, *, allow_unsafe: bool = True) -> list[str]:
    connection = await ConnectionFactory(url).connect()
    try:
        return await database_problems(connection, allow_unsafe=allow_unsafe)
    finally:
        await connection.close()


async def warnings(url: str, *, allow_unsafe: bool = True) -> list[str]:
    connection = await ConnectionFactory(url).connect()
    try:
        return await database_warnings(connection, allow_unsafe=allow_unsafe)
    finally:
        await connection.close()


async def test_c9_owner_has_no_faults(server: DebianServer) -> None:
    assert await faults(server.url()) == []


async def test_c9_role_without_ownership_has_no_faults(server: DebianServer) -> None:
    assert await faults(server.url(user=ROLE)) == []


@pytest.mark.parametrize(
    ("function", "table"), [("bus.drop_day", "bus.event"), ("audit.purge_entries", "audit.entry")]
)
async def test_c9_functions_of_another_role_than_the_owner_of_tables_are_named(
    server: DebianServer, function: str, table: str
) -> None:
    await server.execute(f"ALTER FUNCTION {function} OWNER TO {ROLE}")
    try:
        [fault] = await faults(server.url())
    finally:
        await server.execute(
            f"ALTER FUNCTION {function} OWNER TO postgres",
            f"GRANT EXECUTE ON FUNCTION {function} TO {ROLE}",
        )
    assert fault.startswith(
        f"function {function} belongs to a role without the rights of the owner of {table}: "
    )


@pytest.mark.parametrize(
    ("right", "thing", "fault"),
    [
        ("SELECT", "SEQUENCE bus.event_position", "SELECT sequence bus.event_position"),
        ("USAGE", "SEQUENCE bus.event_position", "USAGE sequence bus.event_position"),
        ("USAGE", "SEQUENCE nhs.patient_number", "USAGE sequence nhs.patient_number"),
        ("INSERT", "TABLE bus.event", "INSERT table bus.event"),
        ("SELECT", "TABLE identity.account", "SELECT table identity.account"),
        ("UPDATE", "TABLE bus.lease", "UPDATE table bus.lease"),
        ("UPDATE", "TABLE identity.session", "UPDATE table identity.session"),
        ("UPDATE", "TABLE nhs.appointment", "UPDATE table nhs.appointment"),
        ("DELETE", "TABLE bus.delivery", "DELETE table bus.delivery"),
        ("DELETE", "TABLE hmrc.consent", "DELETE table hmrc.consent"),
        *(
            (
                "EXECUTE",
                f"FUNCTION {name}",
                f"EXECUTE function {name}: retention could not run",
            )
            for name in RETENTION_FUNCTIONS
        ),
    ],
)
async def test_c9_missing_right_is_named(
    server: DebianServer, right: str, thing: str, fault: str
) -> None:
    await server.execute(f"REVOKE {right} ON {thing} FROM {ROLE}")
    try:
        found = await faults(server.url(user=ROLE))
    finally:
        await server.execute(f"GRANT {right} ON {thing} TO {ROLE}")
    assert f"the database's role may not {fault}" in found


@pytest.mark.parametrize(
    "table", ["identity.account", "identity.throttle", "nhs.appointment", "hmrc.tax_record"]
)
async def test_c9_a_table_that_was_removed_is_named(server: DebianServer, table: str) -> None:
    name = table.partition(".")[2]
    await server.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
    try:
        found = await faults(server.url())
    finally:
        await server.execute(f"ALTER TABLE {table.partition('.')[0]}.elsewhere RENAME TO {name}")
    assert (
        f"the database lacks table {table}, which a migration has made: bring it back from a "
        "backup (docs/restore.md)"
    ) in found
    assert await faults(server.url()) == []


@pytest.mark.parametrize(("act", "tables"), [("UPDATE", CHANGED_ROWS), ("DELETE", REMOVED_ROWS)])
async def test_c9_tables_whose_rows_change_are_there(
    server: DebianServer, act: str, tables: Mapping[str, Sequence[str]]
) -> None:
    names = sorted(f"{schema}.{name}" for schema in tables for name in tables[schema])
    missing = [f"the database's role may not {act} table {name}" for name in names]
    await server.execute(f"REVOKE {act} ON ALL TABLES IN SCHEMA {SCHEMAS} FROM {ROLE}")
    try:
        found = await faults(server.url(user=ROLE))
    finally:
        await server.execute(*EVERYTHING_BUT_OWNERSHIP)
    assert [one for one in found if f" {act} " in one] == missing


async def test_c9_action_that_fails_is_named(server: DebianServer) -> None:
    await server.execute(
        "CREATE DATABASE copy TEMPLATE template0 ENCODING 'UTF8'",
    )
    await asyncio.to_thread(upgrade, server.url("copy"))
    await server.execute("ALTER TABLE bus.lease RENAME TO lost", database="copy")
    found = await faults(server.url("copy"))
    assert "the database does not let govid claim leases (SQLSTATE 42P01)" in found


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_c9_dispatcher_that_may_not_read_is_failing(
    server: DebianServer, tmp_path: Path
) -> None:
    sequence = "SELECT ON SEQUENCE bus.event_position"
    await server.execute(f"REVOKE {sequence} FROM {ROLE}")
    try:
        with serving(demonstration(server.url(user=ROLE), tmp_path)) as url:
            async with httpx.AsyncClient(base_url=url, timeout=10) as http:
                began = time.monotonic()
                failing = await reached(http, 200, "failing")
                unready = await reached(http, 503, "failing")
    finally:
        await server.execute(f"GRANT {sequence} TO {ROLE}")
    assert failing - began > 10
    assert 40 < unready - failing < 55


async def reached(http: httpx.AsyncClient, status: int, state: str) -> float:
    """Wait until readiness is so; return when that was."""
    deadline = time.monotonic() + 90
    while True:
        answer = await http.get("/health/ready")
        if (answer.status_code, answer.json()["dependencies"]["dispatcher"]) == (status, state):
            return time.monotonic()
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(("member", "known"), [(False, False), (True, True)])
async def test_c12_hidden_transactions_are_not_reported_as_none(
    server: DebianServer, member: bool, known: bool
) -> None:
    await server.execute(
        f"{'GRANT' if member else 'REVOKE'} pg_read_all_stats {'TO' if member else 'FROM'} {ROLE}"
    )
    url = server.url(user=ROLE)
    other = await asyncpg.connect(server.url())
    settings = BusSettings(database_url=url, kafka_bootstrap_servers="", pseudonym_key=b"x" * 32)
    try:
        async with other.transaction(), Database(settings) as database:
            await other.fetchval("SELECT 1")
            sampler = DatabaseSampler(database)
            await sampler.refresh()
            assert (sampler.last.oldest_transaction_seconds is not None) is known
    finally:
        await other.close()
    assert any("pg_read_all_stats" in one for one in await warnings(url)) is not known


@pytest.mark.parametrize("allowed", [False, True])
async def test_c13_fsync_off_is_a_fault_unless_allowed(server: DebianServer, allowed: bool) -> None:
    fault = (
        "the database runs with fsync=off and loses what was committed at a power cut; to allow "
        "it, set GOVID_ALLOW_UNSAFE_DATABASE=true"
    )
    assert await faults(server.url(), allow_unsafe=allowed) == ([] if allowed else [fault])
    warning = "the database runs with fsync=off: a power cut may damage its data"
    assert (warning in await warnings(server.url(), allow_unsafe=allowed)) is allowed


async def test_c13_full_page_writes_off_is_a_warning(server: DebianServer) -> None:
    await server.execute("ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
    try:
        found = await warnings(server.url())
    finally:
        await server.execute("ALTER SYSTEM RESET full_page_writes", "SELECT pg_reload_conf()")
    warning = "the database runs with full_page_writes=off: a power cut may damage its data"
    assert warning in found


async def test_c13_unsafe_database_is_reported_by_health(
    server: DebianServer, tmp_path: Path
) -> None:
    settings = demonstration(server.url(), tmp_path, GOVID_ALLOW_UNSAFE_DATABASE=True)
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            answer = (await http.get("/health")).json()
    assert answer["dependencies"]["durability"] == "unsafe"
