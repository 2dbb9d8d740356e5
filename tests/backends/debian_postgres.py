"""PostgreSQL 15 as Debian packages it: what production runs, and may be broken in every way.

Each server is the test's own, in a folder that belongs to user `postgres`, which runs it. With
`GOVID_CI=1` a missing package is a failure, elsewhere the tests are skipped.
"""

import asyncio
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.backends.certificates import CertificateAuthority, IssuedCertificate
from tests.backends.ports import free_port

BINARIES = Path("/usr/lib/postgresql/15/bin")
SYSTEM_USER = "postgres"
ADMINISTRATOR = "postgres"
START_SECONDS = 30
BASE_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "80",
    "shared_buffers": "16MB",
    # This server never loses its power. The test of the refusal changes that setting.
    "fsync": "off",
}


def missing(*programs: Path | str) -> list[str]:
    """Return what this machine lacks: of *programs*, by default of a server; and the rights."""
    wanted = programs or (BINARIES / "initdb",)
    lacking = [str(one) for one in wanted if shutil.which(str(one)) is None]
    return lacking if os.geteuid() == 0 else [*lacking, "the rights of root"]


def require(*programs: Path | str) -> None:
    """Skip the test where a program is missing; fail it in continuous integration."""
    lacking = missing(*programs)
    if lacking and os.environ.get("GOVID_CI") == "1":
        pytest.fail(f"needed here: {', '.join(lacking)}")
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}")


class DebianServer:
    """One server and its data folder."""

    def __init__(self, folder: Path, password: str, settings: Mapping[str, str]) -> None:
        """Describe the server in *folder*; nothing runs before `start`."""
        self.folder = folder
        self.data = folder / "data"
        self.password = password
        self.port = free_port()
        self.settings = {**BASE_SETTINGS, **settings}

    def url(self, database: str = "postgres", user: str = ADMINISTRATOR) -> str:
        """Return the URL of *database* for *user*; all users of a server share a password."""
        return f"postgresql://{user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def run(self, program: str, *arguments: object) -> None:
        """Run a program of the package as the server's user."""
        subprocess.run(
            [str(BINARIES / program), *(str(one) for one in arguments)],
            check=True,
            user=SYSTEM_USER,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # pg_basebackup takes the password from here.
            env={"PGPASSWORD": self.password, "LC_ALL": "C"},
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = " ".join(
            f"-c {name}='{value}'" for name, value in {**self.settings, "port": self.port}.items()
        )
        control = ["-D", self.data, "-l", self.folder / "log", "-w", "-t", START_SECONDS]
        self.run("pg_ctl", *control, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it by *mode*, as `pg_ctl` calls them, unless it has stopped already."""
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def promote(self) -> None:
        """Make a standby the primary."""
        self.run("pg_ctl", "-D", self.data, "-w", "promote")

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run *statements* as the administrator, each in a transaction of its own."""
        connection = await asyncpg.connect(self.url(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def turn_read_only(self) -> None:
        """Let every session, the present ones included, accept no writes from now on."""
        await self.execute(
            "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"
        )


@contextmanager
def a_folder() -> Iterator[Path]:
    """Yield a folder of user `postgres`, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="govid-debian-"))
    owner = pwd.getpwnam(SYSTEM_USER)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def debian_server(
    *initdb_options: str, folder: Path | None = None, **settings: str
) -> Iterator[DebianServer]:
    """Yield a running server that demands passwords by SCRAM."""
    require(BINARIES / "initdb")
    with a_folder() as own:
        server = DebianServer(folder or own, secrets.token_hex(16), settings)
        secret = own / "password"
        secret.write_text(server.password)
        secret.chmod(0o644)
        encoding = [] if any("--encoding" in one for one in initdb_options) else ["--encoding=UTF8"]
        server.run(
            "initdb",
            *("-D", server.data, "-U", ADMINISTRATOR, f"--pwfile={secret}", "--no-sync"),
            *("--auth=scram-sha-256", "--locale=C", *encoding, *initdb_options),
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def successor_of(server: DebianServer) -> Iterator[DebianServer]:
    """Yield a server that has no data yet, with the password and settings of *server*."""
    with a_folder() as folder:
        successor = DebianServer(folder, server.password, server.settings)
        try:
            yield successor
        finally:
            successor.stop()


@contextmanager
def standby_of(primary: DebianServer) -> Iterator[DebianServer]:
    """Yield a streaming standby of *primary*, which has caught up with it."""
    with successor_of(primary) as standby:
        standby.run(
            "pg_basebackup",
            *("-D", standby.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"),
            *("-h", "127.0.0.1", "-p", primary.port, "-U", ADMINISTRATOR),
        )
        standby.start()
        asyncio.run(_caught_up(primary, standby))
        yield standby


async def _caught_up(primary: DebianServer, standby: DebianServer) -> None:
    source, target = await asyncpg.connect(primary.url()), await asyncpg.connect(standby.url())
    try:
        position = await source.fetchval("SELECT pg_current_wal_lsn()::text")
        deadline = time.monotonic() + START_SECONDS
        reached = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)"
        while not await target.fetchval(reached, position):
            assert time.monotonic() < deadline, "the standby does not catch up"
            await asyncio.sleep(0.05)
    finally:
        await source.close()
        await target.close()


ENCRYPTED_ONLY = "hostssl all all 127.0.0.1/32 scram-sha-256\n"


def certificates(server: DebianServer) -> None:
    """Give *server* a certificate for `localhost`, and let it take encrypted connections only.

    `ca.crt` in its folder is the authority that issued it, `other.crt` one that did not.
    """
    authority = CertificateAuthority("ca")
    (server.folder / "ca.crt").write_bytes(authority.pem)
    (server.folder / "other.crt").write_bytes(CertificateAuthority("other").pem)
    encrypt(server, authority.issue("localhost", "localhost"))


def encrypt(
    server: DebianServer,
    issued: IssuedCertificate,
    client_authority: bytes | None = None,
    rules: str = ENCRYPTED_ONLY,
) -> None:
    """Let *server* use the certificate *issued*, and *rules* as its pg_hba.conf.

    It verifies certificates of clients by *client_authority*, in PEM format.
    """
    write_server_certificate(server, issued)
    settings = {"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
    if client_authority is not None:
        (server.folder / "clients.crt").write_bytes(client_authority)
        settings["ssl_ca_file"] = "clients.crt"
    server.stop("fast")
    server.settings.update(
        {
            name: value if name == "ssl" else str(server.folder / value)
            for name, value in settings.items()
        }
    )
    (server.data / "pg_hba.conf").write_text(rules)
    server.start()


def write_server_certificate(server: DebianServer, issued: IssuedCertificate) -> None:
    """Replace the certificate of *server*, which reads it when its settings are reloaded."""
    owner = pwd.getpwnam(SYSTEM_USER)
    for path in issued.write(server.folder, "server"):
        os.chown(path, owner.pw_uid, owner.pw_gid)


@contextmanager
def pgbouncer(server: DebianServer, mode: str, *, settings: str = "") -> Iterator[str]:
    """Yield the URL of a PgBouncer in pool mode *mode* before *server*.

    *settings* are lines for its configuration, in addition to default settings. The user of the URL
    may log in to its console, which is the database `pgbouncer`.
    """
    require("pgbouncer")
    port = free_port()
    with a_folder() as folder:
        (folder / "users").write_text(f'"{ADMINISTRATOR}" "{server.password}"\n')
        (folder / "ini").write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={server.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {folder / 'users'}\npool_mode = {mode}\n"
            f"admin_users = {ADMINISTRATOR}\n{settings}\n"
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [shutil.which("pgbouncer") or "pgbouncer", folder / "ini"],
                user=SYSTEM_USER,
                stdout=log,
                stderr=log,
            )
        try:
            url = f"postgresql://{ADMINISTRATOR}:{server.password}@127.0.0.1:{port}/postgres"
            _wait_for(port)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "nothing listens"
            time.sleep(0.05)
        else:
            return
