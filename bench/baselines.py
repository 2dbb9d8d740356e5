"""The baselines of govid: a minimal application and the prototype's shape, with 200 accounts."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import jwt

from tests.backends.cluster import execute
from tests.backends.ports import free_port
from tests.backends.processes import SERVER_CORE, Server, pinned

SECRET = secrets.token_hex(32)

TABLE = """
    CREATE TABLE person (
        id uuid PRIMARY KEY,
        email text NOT NULL UNIQUE,
        identifier_type text NOT NULL,
        identifier_value text NOT NULL,
        phone_number text,
        status text NOT NULL,
        auth_provider text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
"""


async def populate(database_url: str, accounts: int) -> list[str]:
    """Create the table and its accounts; return a token for each."""
    await execute(database_url, TABLE)
    ids = [uuid4() for _ in range(accounts)]
    connection = await asyncpg.connect(database_url)
    try:
        await connection.executemany(
            "INSERT INTO person VALUES ($1, $2, 'NIN', $3, '+447700900123', 'verified', 'email')",
            [(each, f"{each}@example.com", f"AB{n:06}C") for n, each in enumerate(ids)],
        )
        await connection.execute("VACUUM ANALYZE person")
    finally:
        await connection.close()
    return [token(each) for each in ids]


def token(account: UUID) -> str:
    """Return a token as both rivals accept it."""
    now = datetime.now(UTC)
    claims = {"sub": str(account), "iat": now, "exp": now + timedelta(hours=1)}
    return jwt.encode(claims, SECRET, "HS256")


@contextmanager
def minimal_app(database_url: str, folder: Path, probe: str) -> Iterator[str]:
    """Run the floor on the servers' core; yield its base URL. *probe* is a token."""
    with _uvicorn("bench.minimal_app:app", database_url, folder, probe) as started:
        yield started


@contextmanager
def prototype(database_url: str, folder: Path, probe: str) -> Iterator[str]:
    """Run both processes of the prototype's shape on the servers' core; yield its gateway's URL."""
    with (
        _uvicorn("bench.prototype:service", database_url, folder, probe) as url,
        _uvicorn("bench.prototype:gateway", database_url, folder, probe, url) as started,
    ):
        yield started


@contextmanager
def _uvicorn(
    application: str, database_url: str, folder: Path, probe: str, service_url: str = ""
) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = pinned(
        SERVER_CORE,
        *(sys.executable, "-m", "uvicorn", application, "--host", "127.0.0.1", "--port", port),
        *("--loop", "uvloop", "--http", "httptools", "--no-proxy-headers", "--no-server-header"),
        *("--no-access-log", "--log-level", "warning"),
    )
    environment = {
        "BENCH_DATABASE_URL": database_url,
        "BENCH_SECRET": SECRET,
        "BENCH_SERVICE_URL": service_url,
    }
    log = folder / f"{application.replace(':', '-')}.log"
    ready = f"{url}/api/auth/profile"
    with Server(command, log=log, environment=environment, ready=ready, token=probe):
        yield url
