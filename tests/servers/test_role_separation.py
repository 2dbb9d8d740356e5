"""Logins beside the database roles: owners of the database, and memberships that go too far."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from govid.gateway.checks.roles import role_warnings
from govid.gateway.database_roles import AUDIT_TABLES
from govid.gateway.settings import load_from_environment
from tests.backends.debian_postgres import DebianServer, debian_server
from tests.integration.bus.storage.test_schema_check import downgrade
from tests.servers.test_database_roles import ROLES, fetch, govid

DATABASE = "govid"
FORMER = "former"
ATTACK = """
    CREATE FUNCTION own.attack() RETURNS interval LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE 'ALTER TABLE bus.event DISABLE TRIGGER USER';
        RETURN '0';
    END $$
"""

PLANTED = [
    f"""
    CREATE FUNCTION public.{signature} LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE 'ALTER ROLE {FORMER} SUPERUSER';
        RETURN pg_catalog.{result};
    END $$
    """
    for signature, result in (
        ("to_jsonb(public.govid_version) RETURNS jsonb", "to_jsonb($1)"),
        ("format(text, name) RETURNS text", "format($1, $2)"),
        ("format(text, text) RETURNS text", "format($1, $2)"),
    )
]
"""Functions whose parameters fit better than those of PostgreSQL's own."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianServer]:
    """Return a server whose service uses a login that still owns the database."""
    with debian_server() as running:
        asyncio.run(
            running.execute(
                f"CREATE ROLE {FORMER} LOGIN PASSWORD '{running.password}'",
                f"CREATE DATABASE {DATABASE} OWNER {FORMER}",
            )
        )
        folder = tmp_path_factory.mktemp("migrate")
        for user, options in ((FORMER, ()), ("postgres", ("--database-roles",))):
            code, lines = govid(folder, running.url(DATABASE, user), "migrate", *options)
            assert code == 0, lines
        asyncio.run(
            running.execute(
                f"REVOKE {ROLES.owner} FROM {FORMER}",
                f"GRANT {ROLES.application} TO {FORMER}",
            )
        )
        yield running


async def warnings_of(url: str) -> list[str]:
    return await role_warnings(load_from_environment({"GOVID_DATABASE_URL": url}, env_file=None))


async def test_a_login_that_owns_the_database_is_a_warning(server: DebianServer) -> None:
    [found] = await warnings_of(server.url(DATABASE, FORMER))
    assert found.startswith(f"the database role {FORMER} owns the database or schema public, so")


async def test_i5_the_owner_of_the_database_takes_nothing_from_the_owner_of_the_bus(
    server: DebianServer,
) -> None:
    await server.execute(f"CREATE DATABASE replaced OWNER {FORMER} TEMPLATE {DATABASE}")
    url = server.url("replaced", FORMER)
    for statement in (
        "CREATE SCHEMA own",
        "GRANT USAGE ON SCHEMA own TO PUBLIC",
        ATTACK,
        # Schema public belongs to the owner of the database.
        "DROP TABLE public.govid_version",
        "CREATE VIEW public.govid_version AS SELECT own.attack() AS retention",
        "GRANT SELECT ON public.govid_version TO PUBLIC",
    ):
        await fetch(url, statement)
    [row] = await fetch(url, "SELECT bus.removable_until('infinity') < now() - '89 days'::interval")
    assert row[0] is True
    rows = await fetch(
        server.url("replaced"),
        "SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgrelid = 'bus.event'::regclass",
    )
    assert [row[0] for row in rows] == [b"O"]


@pytest.mark.parametrize(
    "command",
    [
        ("migrate", "status"),
        ("migrate", "--database-roles", "--dry-run"),
        ("migrate", "--database-roles"),
        ("outbox", "status"),
        ("check",),
    ],
    ids=" ".join,
)
async def test_i5_an_administrator_executes_no_function_of_the_owner_of_the_database(
    server: DebianServer, tmp_path: Path, command: tuple[str, ...]
) -> None:
    await server.execute(f"CREATE DATABASE planted OWNER {FORMER} TEMPLATE {DATABASE}")
    try:
        for function in PLANTED:
            await fetch(server.url("planted", FORMER), function)
        await asyncio.to_thread(govid, tmp_path, server.url("planted"), *command)
        [role] = await fetch(
            server.url(),
            f"SELECT rolsuper FROM pg_roles WHERE rolname = '{FORMER}'",  # noqa: S608
        )
        assert role["rolsuper"] is False
    finally:
        await server.execute(f"ALTER ROLE {FORMER} NOSUPERUSER", "DROP DATABASE planted")


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE bus.retention",
        "ALTER TABLE bus.retention RENAME TO other",
        "UPDATE bus.retention SET kept_for = '0'",
        "INSERT INTO bus.retention (is_own, kept_for) VALUES (true, '0')",
        "DROP SCHEMA bus CASCADE",
        "CREATE TABLE bus.mine (id integer)",
    ],
)
async def test_i5_the_owner_of_the_database_cannot_replace_the_retention(
    server: DebianServer, statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await fetch(server.url(DATABASE, FORMER), statement)


EXCESS = [
    (
        "creator",
        "CREATEROLE",
        "has CREATEROLE, with which it may make itself a member of the owner",
    ),
    ("copier", "REPLICATION", "has REPLICATION, with which it may copy all databases"),
    ("writer", "IN ROLE pg_write_all_data", "is a member of pg_write_all_data: it may change"),
    ("reader", "IN ROLE pg_read_all_data", "is a member of pg_read_all_data: it may read"),
    ("runner", "IN ROLE pg_execute_server_program", "is a member of pg_execute_server_program:"),
    ("hidden", "NOINHERIT IN ROLE pg_write_all_data", "is a member of pg_write_all_data: it may"),
]


@pytest.mark.parametrize(("name", "options", "warning"), EXCESS, ids=[one[0] for one in EXCESS])
async def test_what_defeats_the_roles_is_a_warning(
    server: DebianServer, name: str, options: str, warning: str
) -> None:
    await server.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD '{server.password}' {options}",
        f"GRANT {ROLES.application} TO {name}",
    )
    [found] = await warnings_of(server.url(DATABASE, name))
    assert found.startswith(f"the database role {name} {warning}")


async def test_a_role_that_may_become_a_superuser_is_a_warning(server: DebianServer) -> None:
    await server.execute(
        f"CREATE ROLE becoming LOGIN PASSWORD '{server.password}' IN ROLE postgres"
    )
    [found] = await warnings_of(server.url(DATABASE, "becoming"))
    assert found.startswith("the database role becoming is a superuser")


@pytest.mark.parametrize(
    "privilege",
    [
        "DELETE ON bus.event",
        "TRUNCATE ON bus.event",
        "UPDATE ON bus.retention",
        "INSERT ON bus.retention",
        *(
            f"{act} ON audit.{table}"
            for act in ("UPDATE", "DELETE", "TRUNCATE")
            for table in AUDIT_TABLES
        ),
        "INSERT ON audit.retention",
    ],
)
async def test_a_privilege_granted_by_hand_is_a_warning(
    server: DebianServer, privilege: str
) -> None:
    name = f"granted_{privilege.lower().replace(' ', '_').replace('.', '_')}"
    await server.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD '{server.password}' IN ROLE {ROLES.application}",
        f"GRANT {privilege} TO {name}",
        database=DATABASE,
    )
    [found] = await warnings_of(server.url(DATABASE, name))
    assert "may update, delete or truncate rows of bus.event or of the audit log" in found


async def test_check_names_the_owner_of_the_database(server: DebianServer, tmp_path: Path) -> None:
    _, lines = await asyncio.to_thread(
        govid, tmp_path, server.url(DATABASE, FORMER), "check", "--json"
    )
    assert f"the database role {FORMER} owns the database" in "\n".join(lines)


async def test_a_migrator_that_inherits_nothing_migrates_and_stores_the_retention(
    server: DebianServer, tmp_path: Path
) -> None:
    await server.execute(
        f"CREATE DATABASE behind TEMPLATE {DATABASE}",
        f"CREATE ROLE migrator LOGIN NOINHERIT PASSWORD '{server.password}' IN ROLE {ROLES.owner}",
    )
    # What a migration needs that adds a schema; `--database-roles` grants it.
    await server.execute(f"GRANT CREATE ON DATABASE behind TO {ROLES.owner}")
    await asyncio.to_thread(downgrade, server.url("behind"), "0027")
    code, lines = await asyncio.to_thread(
        lambda: govid(
            tmp_path, server.url("behind", "migrator"), "migrate", GOVID_RETENTION_DAYS="120"
        )
    )
    assert code == 0, lines
    assert "Applied 2." in lines
    [row] = await fetch(
        server.url("behind", FORMER), "SELECT kept_for = '120 days' FROM bus.retention"
    )
    assert row[0] is True
    [row] = await fetch(
        server.url("behind"),
        "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'bus.retention'::regclass",
    )
    assert row[0] == ROLES.owner


async def test_a_role_that_inherits_nothing_sets_up_no_roles(
    server: DebianServer, tmp_path: Path
) -> None:
    await server.execute(
        f"CREATE ROLE alone LOGIN NOINHERIT CREATEROLE PASSWORD '{server.password}'",
        "CREATE DATABASE alone OWNER alone",
    )
    code, lines = await asyncio.to_thread(
        lambda: govid(
            tmp_path,
            server.url("alone", "alone"),
            *("migrate", "--database-roles", "--role-prefix", "alone_"),
        )
    )
    assert code == 3
    assert lines[0].startswith("govid: the database role has NOINHERIT")
    assert await fetch(server.url("alone"), "SELECT FROM pg_namespace WHERE nspname = 'bus'") == []
