"""Database roles on the newest PostgreSQL, where CREATEROLE alone gives no membership."""

import asyncio
import importlib
import pkgutil
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

import govid
from govid.bus.settings import AuditSettings
from govid.bus.storage.sql import load_statements
from govid.gateway.checks.database import audit_retention_warnings, retention_warnings
from govid.gateway.database_roles import (
    DatabaseRoles,
    apply_grants,
    find_roles,
    list_setup_statements,
    set_up_roles,
)
from govid.gateway.migrations import upgrade
from tests.backends import postgres

LOCK_MS = 5_000
LOCK_KEY = 1
INCOMPLETE = re.compile(r"(?<!:):[a-z_]+\b|\{[a-z]+\}|;|LOCK TABLE")
"""A parameter of SQLAlchemy, a part to be inserted, a second statement, or one without a plan."""


@pytest.fixture
async def roles(postgres_server: str) -> AsyncIterator[DatabaseRoles]:
    """Return names that no other test uses; the roles are dropped afterwards."""
    found = DatabaseRoles(f"r{uuid4().hex[:12]}_")
    yield found
    await _drop(postgres_server, [*found.all_names, f"{found.prefix}deploy"])


@pytest.fixture
async def deploy_url(postgres_server: str, roles: DatabaseRoles) -> AsyncIterator[str]:
    """Return the URL of a database whose owner may create roles and is no superuser."""
    url = make_url(await postgres.clone(postgres_server, "template0"))
    deploy = f"{roles.prefix}deploy"
    connection = await asyncpg.connect(postgres_server)
    await connection.execute(f"CREATE ROLE {deploy} LOGIN CREATEROLE")
    await connection.execute(f'ALTER DATABASE "{url.database}" OWNER TO {deploy}')
    await connection.close()
    deploy_url = url.set(username=deploy).render_as_string(hide_password=False)
    await asyncio.to_thread(upgrade, deploy_url)
    yield deploy_url
    await postgres.drop(postgres_server, deploy_url)


async def test_a_role_with_createrole_sets_up_all_roles(
    deploy_url: str, roles: DatabaseRoles
) -> None:
    connection = await asyncpg.connect(deploy_url)
    try:
        assert await find_roles(connection) is None
        assert await set_up_roles(connection, roles, LOCK_MS) > 50
        await apply_grants(connection, roles, LOCK_KEY)
        assert await find_roles(connection) == roles
        assert await list_setup_statements(connection, roles) == []
        assert await set_up_roles(connection, roles, LOCK_MS) == 0
    finally:
        await connection.close()


async def test_a_set_up_that_was_interrupted_is_continued(
    deploy_url: str, roles: DatabaseRoles
) -> None:
    connection = await asyncpg.connect(deploy_url)
    other = await asyncpg.connect(deploy_url)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE hmrc.consent IN ACCESS SHARE MODE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await set_up_roles(connection, roles, 50)
        missing = await list_setup_statements(connection, roles)
        assert missing[0] == f"ALTER TABLE hmrc.consent OWNER TO {roles.owner}"
        assert await set_up_roles(connection, roles, LOCK_MS) == len(missing)
        assert await list_setup_statements(connection, roles) == []
    finally:
        await connection.close()
        await other.close()


SOURCE = Path(govid.__file__).parent
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
OF_THE_OWNER = {
    "database_roles.sql",
    "govid.gateway.cli.migrate._STORE_RETENTION",
    "govid.gateway.cli.migrate._STORE_AUDIT_RETENTION",
}
"""What `govid migrate` executes."""


def of_sql_files() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each statement of a `.sql` file."""
    for path in sorted(SOURCE.rglob("*.sql")):
        package = ".".join(["govid", *path.parent.relative_to(SOURCE).parts])
        for name, text in load_statements(package, path.name).items():
            if path.name not in OF_THE_OWNER:
                yield f"{path.stem}.{name}", text


def of_modules() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each module's constant that is a statement."""
    for found in pkgutil.walk_packages(govid.__path__, "govid."):
        if found.name.startswith(("govid.gateway.dev", "govid.__main__")):
            continue
        module = importlib.import_module(found.name)
        for name, text in vars(module).items():
            if isinstance(text, str) and text.lstrip().startswith(VERBS):
                yield f"{found.name}.{name}", text


STATEMENTS = dict(
    sorted(
        (name, text)
        for name, text in {**dict(of_modules()), **dict(of_sql_files())}.items()
        if INCOMPLETE.search(text) is None and name not in OF_THE_OWNER
    )
)


@pytest.fixture(scope="module")
def served(postgres_server: str, template: str) -> Iterator[str]:
    """Return the URL of a database with roles, for a login of the application."""
    roles = DatabaseRoles(f"r{uuid4().hex[:12]}_")
    url = asyncio.run(postgres.clone(postgres_server, template))
    login = f"{roles.prefix}web"
    asyncio.run(_serve(url, roles, login))
    yield make_url(url).set(username=login).render_as_string(hide_password=False)
    asyncio.run(postgres.drop(postgres_server, url))
    asyncio.run(_drop(postgres_server, [login, *roles.all_names]))


async def _serve(url: str, roles: DatabaseRoles, login: str) -> None:
    connection = await asyncpg.connect(url)
    await set_up_roles(connection, roles, LOCK_MS)
    await apply_grants(connection, roles, LOCK_KEY)
    await connection.execute(f"CREATE ROLE {login} LOGIN IN ROLE {roles.application}")
    await connection.close()


async def _drop(url: str, names: Sequence[str]) -> None:
    connection = await asyncpg.connect(url)
    for name in names:
        await connection.execute(f"DROP ROLE IF EXISTS {name}")
    await connection.close()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_application_may_execute_each_statement_of_the_service(
    served: str, name: str
) -> None:
    connection = await asyncpg.connect(served)
    try:
        # Privileges are checked when the plan is opened, before any row is read.
        await connection.execute(f"EXPLAIN (GENERIC_PLAN) {STATEMENTS[name]}")
    finally:
        await connection.close()


def test_the_statements_of_the_service_were_found() -> None:
    assert {"failures.park", "leases.claim", "relay.relay_complete"} <= STATEMENTS.keys()
    assert len(STATEMENTS) > 120


@pytest.mark.parametrize(
    ("days", "warned"), [(89.5, True), (90, False), (400, False)], ids=["shorter", "same", "longer"]
)
async def test_a_shorter_retention_than_the_stored_one_is_a_warning(
    database_url: str, days: float, warned: bool
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        found = await retention_warnings(connection, days)
    finally:
        await connection.close()
    sentence = (
        f"the database keeps events for 90 days, and the settings say {days:g}: `govid migrate`, "
        "run with the same GOVID_RETENTION_DAYS, stores a shorter retention"
    )
    assert found == [sentence] * warned


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        (AuditSettings(), []),
        (AuditSettings(entry_years=8, login_days=31, request_days=91), []),
        (AuditSettings(login_days=29), ["login"]),
        (AuditSettings(entry_years=6, request_days=89), ["entry", "evidence", "request", "staff"]),
    ],
)
async def test_r22_a_shorter_retention_of_the_audit_log_is_a_warning(
    database_url: str, settings: AuditSettings, kinds: list[str]
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        found = await audit_retention_warnings(connection, settings)
    finally:
        await connection.close()
    assert [one.split()[4] for one in found] == kinds


async def test_r22_a_schema_without_an_audit_log_is_no_warning(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("DROP SCHEMA audit CASCADE")
        assert await audit_retention_warnings(connection, AuditSettings(login_days=1)) == []
    finally:
        await connection.close()


async def test_a_schema_without_a_stored_retention_is_no_warning(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("DROP TABLE bus.retention")
        assert await retention_warnings(connection, 1) == []
        await connection.execute("DROP SCHEMA bus CASCADE")
        assert await retention_warnings(connection, 1) == []
    finally:
        await connection.close()
