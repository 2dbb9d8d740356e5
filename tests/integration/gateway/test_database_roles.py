"""Database roles on the newest PostgreSQL, where CREATEROLE alone gives no membership."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

from govid.gateway.checks.database import retention_warnings
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


@pytest.fixture
async def roles(postgres_server: str) -> AsyncIterator[DatabaseRoles]:
    """Return names that no other test uses; the roles are dropped afterwards."""
    found = DatabaseRoles(f"r{uuid4().hex[:12]}_")
    yield found
    connection = await asyncpg.connect(postgres_server)
    for name in found.all_names:
        await connection.execute(f"DROP ROLE IF EXISTS {name}")
    await connection.execute(f"DROP ROLE IF EXISTS {found.prefix}deploy")
    await connection.close()


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


async def test_a_schema_without_a_stored_retention_is_no_warning(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("ALTER TABLE public.govid_version DROP COLUMN retention")
        assert await retention_warnings(connection, 1) == []
        await connection.execute("DROP TABLE public.govid_version")
        assert await retention_warnings(connection, 1) == []
    finally:
        await connection.close()
