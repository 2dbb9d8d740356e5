"""Least privilege: the whole service works as the application's role, and that role may no more."""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import msgspec
import pytest
from sqlalchemy import MetaData

from govid.bus import BusSettings
from govid.bus.storage.connection import ConnectionFactory
from govid.bus.storage.retention import DAYS_AHEAD, RetentionWorker
from govid.bus.storage.schema_check import EXPECTED_SCHEMA
from govid.gateway.checks.database import database_problems
from govid.gateway.checks.production import backend_problems
from govid.gateway.checks.roles import role_warnings
from govid.gateway.database_roles import (
    AUDIT_TABLES,
    CHANGED_ROWS,
    REMOVED_ROWS,
    RETENTION_FUNCTIONS,
    SCHEMAS,
    DatabaseRoles,
)
from govid.gateway.migrations import upgrade
from govid.gateway.settings import load_from_environment
from govid.hmrc.models import Base as Hmrc
from govid.identity.models import Base as Identity
from govid.nhs.models import Base as Nhs
from tests.audit_entries import AUDIT_KEY
from tests.backends.debian_postgres import DebianServer, debian_server
from tests.backends.forked_commands import run
from tests.backends.govid import BASE
from tests.http.client import Client
from tests.http.serving import demonstration, serving
from tests.integration.bus.time_travel import DAY, FixedClock, event_id_at, noon_of
from tests.integration.gateway.next_release import migrate_in_thread

DATABASE = "govid"
ROLES = DatabaseRoles()
DEPLOY = "deploy"
WEB = "web"
PURGER = "purger"
AUDITOR = "anna"
MEMBERS = {WEB: ROLES.application, PURGER: ROLES.purge, AUDITOR: ROLES.auditor}
TODAY = datetime.now(UTC).date()
OLD = TODAY - 91 * DAY


def environment_of(url: str, **changes: str) -> dict[str, str]:
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith("GOVID_")},
        **BASE,
        "GOVID_DATABASE_URL": url,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        **changes,
    }


def govid(folder: Path, url: str, *arguments: str, **changes: str) -> tuple[int | None, list[str]]:
    """Run a command on the database of *url*; return its exit code and its lines."""
    return run(*arguments, folder=folder, environment=environment_of(url, **changes))


@contextmanager
def server_with_roles(folder: Path) -> Iterator[DebianServer]:
    """Yield a server whose database was given its roles by one that is no superuser."""
    with debian_server() as running:
        asyncio.run(
            running.execute(
                f"CREATE ROLE {DEPLOY} LOGIN CREATEROLE PASSWORD '{running.password}'",
                f"CREATE DATABASE {DATABASE} OWNER {DEPLOY}",
            )
        )
        url = running.url(DATABASE, DEPLOY)
        code, lines = govid(folder, url, "migrate", "--database-roles")
        assert code == 0, lines
        asyncio.run(
            running.execute(
                *(
                    f"CREATE ROLE {name} LOGIN PASSWORD '{running.password}' IN ROLE {role}"
                    for name, role in MEMBERS.items()
                )
            )
        )
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianServer]:
    """Return a server with the roles, for all tests of this file."""
    with server_with_roles(tmp_path_factory.mktemp("migrate")) as running:
        yield running


async def fetch(url: str, query: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()


async def faults(url: str) -> list[str]:
    connection = await ConnectionFactory(url).connect()
    try:
        return await database_problems(connection, allow_unsafe=True)
    finally:
        await connection.close()


async def test_the_roles_cannot_log_in_and_have_no_password(server: DebianServer) -> None:
    rows = await fetch(
        server.url(),
        "SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolpassword FROM pg_authid"
        " WHERE rolname = ANY($1) ORDER BY rolname",
        list(ROLES.all_names),
    )
    assert [tuple(row) for row in rows] == [
        (name, False, False, False, None) for name in sorted(ROLES.all_names)
    ]


async def test_the_owner_owns_everything(server: DebianServer) -> None:
    rows = await fetch(
        server.url(DATABASE),
        "SELECT DISTINCT owner::regrole::text FROM ("
        "SELECT c.relowner AS owner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY($1) OR c.relname = 'govid_version'"
        " UNION SELECT nspowner FROM pg_namespace WHERE nspname = ANY($1)"
        " UNION SELECT proowner FROM pg_proc WHERE pronamespace::regnamespace::text = ANY($1)"
        ") AS owners",
        list(CHANGED_ROWS),
    )
    assert [row[0] for row in rows] == [ROLES.owner]


async def privileges_of(server: DebianServer) -> list[tuple[str, str, str]]:
    """Return all privileges of all roles but the owner, on everything of govid."""
    rows = await fetch(
        server.url(DATABASE),
        """
        SELECT object, a.grantee::regrole::text AS grantee, a.privilege_type FROM (
            SELECT n.nspname || '.' || c.relname AS object, c.relacl AS acl FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY($1)
                OR c.relname = 'govid_version'
            UNION ALL SELECT nspname, nspacl FROM pg_namespace WHERE nspname = ANY($1)
            UNION ALL SELECT n.nspname || '.' || p.proname, p.proacl FROM pg_proc p
            JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('audit', 'bus')
        ) AS objects, aclexplode(acl) AS a
        WHERE a.grantee NOT IN (0, $2::text::regrole) ORDER BY 1, 2, 3
        """,
        list(SCHEMAS),
        ROLES.owner,
    )
    return [tuple(row) for row in rows]


async def test_a_second_run_changes_nothing(server: DebianServer, tmp_path: Path) -> None:
    before = await privileges_of(server)
    url = server.url(DATABASE, DEPLOY)
    code, lines = govid(tmp_path, url, "migrate", "--database-roles", "--dry-run", "--json")
    assert (code, msgspec.json.decode("\n".join(lines))["role_statements"]) == (0, [])
    code, lines = govid(tmp_path, url, "migrate", "--database-roles")
    assert code == 0, lines
    assert "Database roles: govid_owner, govid_application" in "\n".join(lines)
    assert await privileges_of(server) == before


async def test_a_privilege_too_many_is_taken_back(server: DebianServer, tmp_path: Path) -> None:
    before = await privileges_of(server)
    await server.execute(f"GRANT DELETE ON bus.event TO {ROLES.application}", database=DATABASE)
    code, lines = govid(tmp_path, server.url(DATABASE, DEPLOY), "migrate")
    assert code == 0, lines
    assert await privileges_of(server) == before


REFUSED = [
    "UPDATE bus.event SET topic = topic",
    "DELETE FROM bus.event",
    "TRUNCATE bus.event",
    "TRUNCATE bus.event CASCADE",
    "TRUNCATE bus.event_default",
    "DELETE FROM bus.event_default",
    "SELECT FROM bus.event_default",
    "INSERT INTO bus.event_default SELECT * FROM bus.event",
    "TRUNCATE bus.receipt",
    "UPDATE bus.receipt SET outcome = outcome",
    "DELETE FROM bus.inbox",
    "UPDATE bus.installation SET id = id",
    "TRUNCATE identity.account",
    "DELETE FROM identity.account",
    "DELETE FROM identity.life_event",
    "DROP TABLE bus.event",
    "DROP TABLE bus.event_default",
    "ALTER TABLE bus.event DISABLE TRIGGER event_is_immutable",
    "DROP TRIGGER event_is_immutable ON bus.event",
    "ALTER TABLE bus.event DETACH PARTITION bus.event_default",
    "CREATE TABLE bus.mine (id integer)",
    "CREATE TABLE public.mine (id integer)",
    "CREATE SCHEMA mine",
    "CREATE OR REPLACE FUNCTION bus.refuse_change() RETURNS trigger LANGUAGE plpgsql AS ''",
    "ALTER FUNCTION bus.drop_day SECURITY INVOKER",
    "UPDATE bus.retention SET kept_for = '0'",
    "INSERT INTO bus.retention (kept_for) VALUES ('0')",
    "DELETE FROM bus.retention",
    "INSERT INTO audit.retention (kind, kept_for) VALUES ('x', '0')",
    "UPDATE audit.retention SET kept_for = '0'",
    *(
        statement.format(table)
        for table in ("entry", "restricted", "leaf", "checkpoint")
        for statement in (
            "DELETE FROM audit.{}",
            "TRUNCATE audit.{}",
            "UPDATE audit.{} SET at = at",
        )
        if (table, statement[:6]) != ("leaf", "UPDATE")
    ),
    "UPDATE audit.leaf SET hash = hash",
    "ALTER TABLE audit.entry DISABLE TRIGGER entry_is_immutable",
    "SELECT setval('audit.entry_position', 1)",
    "UPDATE public.govid_version SET version_num = '0027'",
    "SELECT setval('bus.event_position', 1)",
    "SELECT bus.is_event_range_needed(NULL, NULL)",
    f"SET ROLE {ROLES.owner}",
    f"GRANT {ROLES.owner} TO {WEB}",
]


@pytest.mark.parametrize("statement", REFUSED)
async def test_i5_the_application_is_refused_by_postgresql(
    server: DebianServer, statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await fetch(server.url(DATABASE, WEB), statement)


async def test_the_application_has_no_fault_and_no_warning(server: DebianServer) -> None:
    url = server.url(DATABASE, WEB)
    assert await faults(url) == []
    settings = load_from_environment({"GOVID_DATABASE_URL": url}, env_file=None)
    assert await role_warnings(settings) == []


@pytest.mark.parametrize(
    ("user", "warning"),
    [
        (DEPLOY, f"the database role {DEPLOY} owns the tables, so it may remove the triggers"),
        ("postgres", "the database role postgres is a superuser: it may read and change"),
    ],
)
async def test_c8_a_member_of_the_owner_and_a_superuser_are_warnings(
    server: DebianServer, user: str, warning: str
) -> None:
    url = server.url(DATABASE, user)
    settings = load_from_environment({"GOVID_DATABASE_URL": url}, env_file=None)
    [found] = await role_warnings(settings)
    assert found.startswith(warning)


class Privilege(NamedTuple):
    """A privilege of the application. It may also have it, or only, as a member of purge."""

    privilege: str
    kind: str
    name: str
    holders: str = ROLES.application

    @property
    def fault(self) -> str:
        end = ": retention could not run" if self.kind == "FUNCTION" else ""
        return f"the database's role may not {self.privilege} {self.kind.lower()} {self.name}{end}"


def tables_of(metadata: MetaData) -> list[str]:
    return [f"{table.schema}.{table.name}" for table in metadata.sorted_tables]


TABLES = [
    *(f"bus.{line.split()[1]}" for line in EXPECTED_SCHEMA if line.startswith("table ")),
    *(name for base in (Identity, Nhs, Hmrc) for name in tables_of(base.metadata)),
    *(f"audit.{name}" for name in AUDIT_TABLES),
    "identity.throttle",
    "identity.claimed_facts",
    "identity.evidence",
    "identity.verification_attempt",
    "identity.key_check",
    "identity.quota",
    "nhs.quota",
    "hmrc.quota",
]
EVERY = [
    Privilege("USAGE", "SCHEMA", "bus", f"{ROLES.application}, {ROLES.purge}"),
    Privilege("USAGE", "SCHEMA", "audit", f"{ROLES.application}, {ROLES.purge}"),
    *(Privilege("USAGE", "SCHEMA", name) for name in ("identity", "nhs", "hmrc")),
    *(
        Privilege(act, "TABLE", name)
        for act in ("SELECT", "INSERT")
        for name in sorted(set(TABLES))
        if act == "SELECT" or not name.endswith(".retention")
    ),
    Privilege("SELECT", "TABLE", "public.govid_version"),
    *(
        Privilege(act, "TABLE", f"{schema}.{name}")
        for act, rows in (("UPDATE", CHANGED_ROWS), ("DELETE", REMOVED_ROWS))
        for schema, names in rows.items()
        for name in names
    ),
    Privilege("SELECT", "SEQUENCE", "bus.event_position"),
    Privilege("SELECT", "SEQUENCE", "audit.entry_position"),
    *(
        Privilege("USAGE", "SEQUENCE", name)
        for name in (
            "audit.entry_position",
            "bus.event_position",
            "nhs.patient_number",
            "hmrc.consent_generation",
            "hmrc.tax_record_number",
        )
    ),
    *(Privilege("EXECUTE", "FUNCTION", name, ROLES.purge) for name in RETENTION_FUNCTIONS),
]


async def test_the_privileges_below_are_all_that_the_application_has(server: DebianServer) -> None:
    found = await privileges_of(server)
    assert {
        (name, role, act) for name, role, act in found if role in {ROLES.application, ROLES.purge}
    } == {(one.name, role, one.privilege) for one in EVERY for role in one.holders.split(", ")}


@pytest.mark.parametrize("one", EVERY, ids=lambda one: f"{one.privilege} {one.name}")
async def test_c9_each_missing_privilege_is_named(server: DebianServer, one: Privilege) -> None:
    change = f"{one.privilege} ON {one.kind} {one.name}"
    await server.execute(f"REVOKE {change} FROM {one.holders}", database=DATABASE)
    try:
        found = await faults(server.url(DATABASE, WEB))
    finally:
        await server.execute(f"GRANT {change} TO {one.holders}", database=DATABASE)
    assert one.fault in found


def bus_settings(url: str) -> BusSettings:
    return BusSettings(database_url=url, kafka_bootstrap_servers="", pseudonym_key=b"x" * 32)


@pytest.mark.parametrize("user", [WEB, PURGER, DEPLOY])
async def test_r13_retention_runs_without_ownership(server: DebianServer, user: str) -> None:
    name = f"retained_{user}"
    await server.execute(f"CREATE DATABASE {name} TEMPLATE {DATABASE}")
    url = server.url(name, user)
    assert await RetentionWorker(bus_settings(url), FixedClock(noon_of(OLD))).run_once()
    assert await RetentionWorker(bus_settings(url), FixedClock(noon_of(TODAY))).run_once()
    rows = await fetch(
        server.url(name),
        "SELECT c.relname, c.relowner::regrole::text FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'bus.event'::regclass",
    )
    names = {row[0] for row in rows}
    assert f"event_{OLD:%Y%m%d}" not in names
    assert {f"event_{TODAY + n * DAY:%Y%m%d}" for n in range(DAYS_AHEAD + 1)} < names
    assert {row[1] for row in rows} == {ROLES.owner}


async def test_r13_the_application_uses_partitions_that_were_created_later(
    server: DebianServer,
) -> None:
    name = "later"
    await server.execute(f"CREATE DATABASE {name} TEMPLATE {DATABASE}")
    url = server.url(name, WEB)
    await RetentionWorker(bus_settings(url), FixedClock(noon_of(TODAY))).run_once()
    [row] = await fetch(
        url,
        "INSERT INTO bus.event (id, type, version, payload, headers, occurred_at)"
        " VALUES ($1, 'tests.it.happened', 1, '{}', '{}', now())"
        " RETURNING tableoid::regclass::text",
        event_id_at(TODAY),
    )
    assert row[0] == f"bus.event_{TODAY:%Y%m%d}"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await fetch(url, f"DELETE FROM bus.event_{TODAY:%Y%m%d}")  # noqa: S608 - a date


PURGER_REFUSED = [
    "SELECT FROM bus.event",
    "SELECT FROM bus.inbox",
    "DELETE FROM bus.inbox",
    "SELECT FROM public.govid_version",
    "SELECT FROM bus.retention",
    "SELECT FROM identity.account",
    "INSERT INTO bus.dead SELECT * FROM bus.dead",
    *(f"SELECT FROM audit.{name}" for name in AUDIT_TABLES),
    "DELETE FROM audit.restricted",
    "INSERT INTO audit.retention (kind, kept_for) VALUES ('x', '0')",
]


@pytest.mark.parametrize("statement", PURGER_REFUSED)
async def test_the_purge_role_reads_no_row(server: DebianServer, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await fetch(server.url(DATABASE, PURGER), statement)


@pytest.mark.parametrize(
    "arguments",
    [
        ("outbox", "status"),
        ("outbox", "list"),
        ("outbox", "verify", "--without-kafka"),
        ("migrate", "status"),
    ],
)
async def test_the_auditor_runs_commands_that_read(
    server: DebianServer, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, lines = govid(tmp_path, server.url(DATABASE, AUDITOR), *arguments)
    assert code == 0, lines


AUDITOR_REFUSED = [
    "UPDATE bus.event SET topic = topic",
    "DELETE FROM bus.delivery",
    "INSERT INTO bus.dead SELECT * FROM bus.dead",
    "TRUNCATE bus.event",
    "SELECT FROM identity.account",
    "SELECT FROM identity.session",
    "SELECT FROM nhs.patient",
    "SELECT FROM hmrc.consent",
    "SELECT bus.drop_day('event_default', now())",
    "SELECT nextval('bus.event_position')",
    "INSERT INTO audit.entry SELECT * FROM audit.entry",
    "DELETE FROM audit.restricted",
    "UPDATE audit.retention SET kept_for = '0'",
    "TRUNCATE audit.entry",
    "SELECT audit.purge_entries(now(), 1)",
    "SELECT audit.purge_restricted('login', now(), 1)",
    "SELECT nextval('audit.entry_position')",
]


@pytest.mark.parametrize("statement", AUDITOR_REFUSED)
async def test_the_auditor_changes_nothing_and_sees_no_account(
    server: DebianServer, statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await fetch(server.url(DATABASE, AUDITOR), statement)


@pytest.mark.parametrize("table", AUDIT_TABLES)
async def test_r22_the_auditor_reads_the_whole_audit_log(server: DebianServer, table: str) -> None:
    await fetch(server.url(DATABASE, AUDITOR), f"SELECT FROM audit.{table}")


@pytest.mark.parametrize("user", [WEB, PURGER])
async def test_r22_members_of_the_purge_role_run_retention_of_the_audit_log(
    server: DebianServer, user: str
) -> None:
    url = server.url(DATABASE, user)
    assert [row[0] for row in await fetch(url, "SELECT audit.purge_entries(now(), 1)")] == [0]
    query = "SELECT audit.purge_restricted('login', now(), 1)"
    assert [row[0] for row in await fetch(url, query)] == [0]


async def test_what_a_later_migration_creates_belongs_to_the_owner_and_is_granted(
    server: DebianServer, tmp_path: Path
) -> None:
    await server.execute(f"CREATE DATABASE next TEMPLATE {DATABASE}")
    url = server.url("next", DEPLOY)
    statement = "CREATE TABLE bus.region (name text NOT NULL)"
    await migrate_in_thread(url, tmp_path, statement, compatible_from=20)
    query = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'bus.region'::regclass"
    assert [row[0] for row in await fetch(url, query)] == [ROLES.owner]
    code, lines = govid(tmp_path, url, "migrate")
    assert code == 0, lines
    assert await fetch(server.url("next", WEB), "SELECT name FROM bus.region") == []
    assert await fetch(server.url("next", AUDITOR), "SELECT name FROM bus.region") == []


async def test_the_application_may_run_migrate_if_nothing_is_pending(
    server: DebianServer, tmp_path: Path
) -> None:
    code, lines = govid(tmp_path, server.url(DATABASE, WEB), "migrate")
    assert (code, lines[-1]) == (0, "Applied 0.")


async def test_the_application_may_not_migrate(server: DebianServer, tmp_path: Path) -> None:
    await server.execute(f"CREATE DATABASE behind TEMPLATE {DATABASE}")
    await server.execute("UPDATE public.govid_version SET version_num = '0027'", database="behind")
    code, lines = govid(tmp_path, server.url("behind", WEB), "migrate")
    assert code == 3
    assert (
        "govid: the database role is not a member of govid_owner, which owns the tables of govid; "
        "nothing was changed."
    ) in lines


async def test_a_former_owner_keeps_the_tables_until_the_membership_is_revoked(
    server: DebianServer, tmp_path: Path
) -> None:
    await server.execute(
        f"CREATE ROLE former LOGIN PASSWORD '{server.password}'",
        "CREATE DATABASE older OWNER former",
    )
    url = server.url("older", "former")
    await asyncio.to_thread(upgrade, url)
    code, lines = govid(
        tmp_path, server.url("older"), *("migrate", "--database-roles", "--role-prefix", "older_")
    )
    assert code == 0, lines
    assert await faults(url) == []
    await server.execute("REVOKE older_owner FROM former")
    [fault] = await faults(url)
    assert re.fullmatch(
        r"the database's role former is not a member of older_application, so that it lacks \d{3} "
        "privileges: GRANT older_application TO former",
        fault,
    )
    await server.execute("GRANT older_application TO former")
    assert await faults(url) == []


@pytest.mark.parametrize(
    ("options", "cause", "remedy"),
    [
        (
            "",
            "is not a member of govid_application, so that it lacks {} privileges",
            'GRANT govid_application TO "a stray"',
        ),
        (
            "IN ROLE govid_auditor",
            "is not a member of govid_application, so that it lacks {} privileges",
            'GRANT govid_application TO "a stray"',
        ),
        (
            "NOINHERIT IN ROLE govid_application",
            "does not inherit govid_application, so that it lacks {} privileges",
            (
                'ALTER ROLE "a stray" INHERIT, or since PostgreSQL 16 GRANT govid_application TO '
                '"a stray" WITH INHERIT TRUE'
            ),
        ),
    ],
)
async def test_a_login_without_the_application_s_privileges_is_one_fault(
    server: DebianServer, options: str, cause: str, remedy: str
) -> None:
    await server.execute(f"CREATE ROLE \"a stray\" LOGIN PASSWORD '{server.password}' {options}")
    try:
        url = server.url(DATABASE, "a%20stray")
        settings = load_from_environment(
            {"GOVID_DATABASE_URL": url, "GOVID_ALLOW_UNSAFE_DATABASE": True}, env_file=None
        )
        [fault] = await backend_problems(settings, ())
    finally:
        await server.execute('DROP ROLE "a stray"')
    expected = f'the database\'s role "a stray" {cause}: {remedy}'
    assert re.sub(r"lacks \d+", "lacks {}", fault) == expected


async def test_roles_of_another_database_are_not_shared_by_accident(
    server: DebianServer, tmp_path: Path
) -> None:
    await server.execute("CREATE DATABASE second OWNER deploy")
    url = server.url("second", DEPLOY)
    code, lines = govid(tmp_path, url, "migrate", "--database-roles")
    assert code == 3
    assert lines[0].startswith("govid: govid_owner owns another database of this server")
    code, lines = govid(tmp_path, url, "migrate", "--database-roles", "--role-prefix", "second_")
    assert code == 0, lines
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await fetch(server.url("second", WEB), "SELECT FROM bus.event")
    code, lines = govid(tmp_path, url, "migrate", "--database-roles", "--role-prefix", "third_")
    assert code == 3
    assert lines[0].startswith("govid: the database has roles already: second_owner")


@pytest.mark.parametrize("prefix", ["", "Upper_", "a-b", "1a", "x" * 42, 'a"; DROP TABLE x; --'])
def test_a_prefix_that_needs_quotes_is_refused(tmp_path: Path, prefix: str) -> None:
    arguments = ("migrate", "--database-roles", "--sql", "--role-prefix", prefix)
    code, _ = govid(tmp_path, "postgresql://nowhere", *arguments)
    assert code == 2


async def test_the_script_does_the_same(server: DebianServer, tmp_path: Path) -> None:
    await server.execute("CREATE DATABASE scripted")
    arguments = ("migrate", "--database-roles", "--sql", "--role-prefix", "scripted_")
    code, lines = govid(tmp_path, "postgresql://nowhere", *arguments)
    assert code == 0
    script = server.folder / "script.sql"
    script.write_text("\n".join(line for line in lines if not line.startswith("INFO")))
    script.chmod(0o644)
    options = ("-h", "127.0.0.1", "-p", server.port, "-U", "postgres", "-d", "scripted")
    server.run("psql", *options, "-v", "ON_ERROR_STOP=1", "-f", script)
    await server.execute(
        f"CREATE ROLE scripted LOGIN PASSWORD '{server.password}' IN ROLE scripted_application"
    )
    assert await faults(server.url("scripted", "scripted")) == []


async def test_a_role_that_may_not_create_roles_is_told_what_it_needs(
    server: DebianServer, tmp_path: Path
) -> None:
    await server.execute(
        f"CREATE ROLE plain LOGIN PASSWORD '{server.password}'", "CREATE DATABASE mine OWNER plain"
    )
    url = server.url("mine", "plain")
    code, lines = govid(tmp_path, url, *("migrate", "--database-roles", "--role-prefix", "mine_"))
    assert code == 1
    text = " ".join(lines)
    assert "Roles are created, and tables given away, by a superuser or by the owner of" in text
    assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_the_whole_service_works_as_the_application(
    server: DebianServer, tmp_path: Path
) -> None:
    await server.execute(f"CREATE DATABASE serving TEMPLATE {DATABASE}")
    url = server.url("serving", WEB)
    settings = demonstration(url, tmp_path)
    with serving(settings) as address:
        async with httpx.AsyncClient(base_url=address, timeout=20) as http:
            client = Client(http)
            account = (await client.register()).json()["id"]
            token = await client.token()
            await client.until_status(token, "verified", seconds=30)
            secret: Mapping[str, str] = {
                "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
                "GOVID_AUDIT_KEY": AUDIT_KEY,
            }
            code, lines = await asyncio.to_thread(
                lambda: govid(
                    tmp_path,
                    url,
                    *("accounts", "block", account, "--reason", "stolen, case 71", "--yes"),
                    **secret,
                )
            )
            assert code == 0, lines
            assert (await client.get("/api/auth/profile", token)).status_code == 401
            assert (await http.get("/health/ready")).status_code == 200
    code, lines = govid(tmp_path, url, "outbox", "verify", "--without-kafka")
    assert code == 0, lines
