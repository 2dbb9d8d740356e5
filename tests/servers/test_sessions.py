"""C2, C5, C6, C7: how govid connects to servers as they are found."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from govid.bus import BusSettings, Database
from govid.bus.storage.connection import (
    ConnectionFactory,
    DatabaseUnreachable,
    SessionRefused,
    session_settings,
)
from govid.gateway.checks.database import detect_pool_mode
from govid.gateway.migrations import upgrade
from tests.backends.debian_postgres import (
    DebianServer,
    certificates,
    debian_server,
    pgbouncer,
)

SETTINGS = tuple(session_settings("govid"))
READ = "SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS t (name)"


@pytest.fixture(scope="module")
def server() -> Iterator[DebianServer]:
    """Return a server whose defaults are everything that govid's sessions must not be."""
    with debian_server(
        default_transaction_isolation="serializable",
        synchronous_commit="off",
        lock_timeout="7ms",
        idle_session_timeout="50min",
        timezone="Asia/Kathmandu",
        search_path="pg_temp",
        jit="on",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def tls_server() -> Iterator[DebianServer]:
    """Return a server that takes TLS only."""
    with debian_server() as running:
        certificates(running)
        yield running


@pytest.mark.parametrize("application", ["govid", "govid leases", "govid retention"])
async def test_c5_defaults_of_a_server_reach_no_session(
    server: DebianServer, application: str
) -> None:
    connection = await ConnectionFactory(server.url(), application=application).connect()
    try:
        rows = await connection.fetch(READ, list(SETTINGS))
    finally:
        await connection.close()
    assert {row["name"]: row["value"] for row in rows} == session_settings(application)


async def test_c5_pools_have_the_settings_too(server: DebianServer) -> None:
    settings = BusSettings(
        database_url=server.url(), kafka_bootstrap_servers="", pseudonym_key=b"x" * 32
    )
    async with Database(settings) as database:
        for pool in (database.reads, database.bus_reads):
            assert await pool.fetchval("SHOW default_transaction_isolation") == "read committed"
        async with database.requests.connect() as one, database.bus.connect() as other:
            for connection in (one, other):
                shown = await connection.exec_driver_sql("SHOW transaction_isolation")
                assert shown.scalar_one() == "read committed"


@pytest.mark.parametrize("scope", ["DATABASE postgres", "ROLE postgres"])
async def test_c5_defaults_of_database_and_role_reach_no_session(
    server: DebianServer, scope: str
) -> None:
    await server.execute(f"ALTER {scope} SET statement_timeout = '1h'")
    connection = await ConnectionFactory(server.url()).connect()
    try:
        assert await connection.fetchval("SHOW statement_timeout") == "5s"
    finally:
        await connection.close()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "LATIN9"])
async def test_c6_other_encodings_are_refused(server: DebianServer, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    await server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    with pytest.raises(SessionRefused, match=f"encoded in {encoding}"):
        await ConnectionFactory(server.url(name)).connect()
    with pytest.raises(SessionRefused, match=f"encoded in {encoding}"):
        await asyncio.to_thread(upgrade, server.url(name))


@pytest.mark.parametrize(
    ("query", "setting", "value"),
    [
        ("application_name=payroll", "application_name", "payroll"),
        ("options=-c%20work_mem%3D8MB", "work_mem", "8MB"),
        ("options=-c%20statement_timeout%3D0", "statement_timeout", "5s"),
        ("connect_timeout=9&keepalives_idle=30", "application_name", "govid"),
        ("sslmode=prefer&gssencmode=disable", "application_name", "govid"),
    ],
)
async def test_c2_parameters_reach_the_session(
    server: DebianServer, query: str, setting: str, value: str
) -> None:
    connection = await ConnectionFactory(f"{server.url()}?{query}").connect()
    try:
        assert await connection.fetchval("SELECT current_setting($1)", setting) == value
    finally:
        await connection.close()


@pytest.fixture
async def login(server: DebianServer, tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """Return the URL of a role whose password has special characters, and the file for it."""
    await server.execute(r"CREATE ROLE odd LOGIN PASSWORD 'n3w:p\w # '")
    file = tmp_path / "pass"
    url = server.url(user="odd").replace(f":{server.password}@", "@")
    yield f"{url}?passfile={file}", file
    await server.execute("DROP ROLE odd")


def write_password(file: Path, line: str, mode: int = 0o600) -> None:
    file.write_text(f"# comment\n\n{line}\n")
    file.chmod(mode)


@pytest.mark.parametrize("host", ["127.0.0.1", "*"])
async def test_c2_passfile(server: DebianServer, login: tuple[str, Path], host: str) -> None:
    url, file = login
    write_password(file, rf"{host}:{server.port}:*:odd:n3w\:p\\w # ")
    connection = await ConnectionFactory(url).connect()
    assert await connection.fetchval("SELECT current_user") == "odd"
    await connection.close()


async def test_c2_a_replaced_passfile_is_read_by_the_next_connection(
    server: DebianServer, tmp_path: Path
) -> None:
    file = tmp_path / "pass"
    file.touch(0o600)
    factory = ConnectionFactory(
        f"postgresql://rotating@127.0.0.1:{server.port}/postgres?passfile={file}"
    )
    owner = await ConnectionFactory(server.url()).connect()
    await owner.execute("CREATE ROLE rotating LOGIN")
    opened = []
    try:
        for password in ("the first one", "the second one"):
            await owner.execute(f"ALTER ROLE rotating PASSWORD '{password}'")
            file.write_text(f"127.0.0.1:{server.port}:*:rotating:{password}\n")
            opened.append(await factory.connect())
        # What is open stays open.
        assert [await one.fetchval("SELECT current_user") for one in opened] == ["rotating"] * 2
    finally:
        for one in opened:
            await one.close()
        await owner.execute("DROP ROLE rotating")
        await owner.close()


@pytest.mark.parametrize(
    ("line", "mode", "reason"),
    [
        (
            "*:*:*:odd:n3w",
            0o644,
            (
                "the password file of passfile is ignored, as libpq does, because other users can "
                "access it: chmod 600"
            ),
        ),
        (
            "*:*:*:another:n3w",
            0o600,
            ("no line of the password file of passfile is for this host, port, database and user"),
        ),
    ],
)
async def test_c2_an_unusable_passfile_is_the_reason_of_a_refused_login(
    login: tuple[str, Path], line: str, mode: int, reason: str
) -> None:
    url, file = login
    write_password(file, line, mode)
    with pytest.raises(DatabaseUnreachable) as error:
        await ConnectionFactory(url).connect()
    assert str(error.value) == f"the database refuses the login: {reason}"


async def test_c2_a_wrong_password_in_a_passfile_is_a_refused_password(
    login: tuple[str, Path],
) -> None:
    url, file = login
    write_password(file, "*:*:*:odd:n3w")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ConnectionFactory(url).connect()


async def test_c2_first_host_that_accepts_writes_is_taken(server: DebianServer) -> None:
    url = server.url().replace("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:")
    connection = await ConnectionFactory(f"{url}?target_session_attrs=read-write").connect()
    try:
        assert await connection.fetchval("SHOW port") == str(server.port)
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_c2_tls_can_be_demanded(tls_server: DebianServer, mode: str) -> None:
    root = tls_server.folder / "ca.crt"
    url = tls_server.url().replace("127.0.0.1", "localhost")
    connection = await ConnectionFactory(f"{url}?sslmode={mode}&sslrootcert={root}").connect()
    try:
        encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert await connection.fetchval(encrypted)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("host", "root", "reason"),
    [
        ("127.0.0.1", "ca.crt", "its certificate is for another name"),
        ("localhost", "other.crt", "its certificate is not trusted"),
    ],
)
async def test_c2_wrong_certificate_is_not_believed(
    tls_server: DebianServer, host: str, root: str, reason: str
) -> None:
    url = tls_server.url().replace("127.0.0.1", host)
    query = f"sslmode=verify-full&sslrootcert={tls_server.folder / root}"
    with pytest.raises(DatabaseUnreachable, match=reason):
        await ConnectionFactory(f"{url}?{query}").connect()


async def test_c2_migrations_connect_by_the_same_reader(tls_server: DebianServer) -> None:
    await tls_server.execute("CREATE DATABASE migrated")
    url = tls_server.url("migrated").replace("127.0.0.1", "localhost")
    query = f"sslmode=verify-full&sslrootcert={tls_server.folder / 'ca.crt'}&connect_timeout=9"
    await asyncio.to_thread(upgrade, f"{url}?{query}")
    connection = await ConnectionFactory(f"{url}?{query}").connect()
    try:
        assert await connection.fetchval("SELECT count(*) FROM public.govid_version") == 1
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("mode", "reported"),
    [("session", None), ("transaction", "transaction"), ("statement", "statement")],
)
async def test_c7_pooler_is_reported_by_its_mode(
    server: DebianServer, mode: str, reported: str | None
) -> None:
    with pgbouncer(server, mode) as url:
        assert await detect_pool_mode(ConnectionFactory(url)) == reported


async def test_c7_no_pooler_is_found_where_there_is_none(server: DebianServer) -> None:
    assert await detect_pool_mode(ConnectionFactory(server.url())) is None


async def test_c7_session_mode_keeps_the_settings(server: DebianServer) -> None:
    with pgbouncer(server, "session") as url:
        settings = BusSettings(
            database_url=url, kafka_bootstrap_servers="", pseudonym_key=b"x" * 32
        )
        async with Database(settings) as database:
            for name, value in session_settings("govid").items():
                shown = await database.reads.fetchval("SELECT current_setting($1)", name)
                assert shown == value
