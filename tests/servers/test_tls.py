"""TLS to PostgreSQL: what is demanded is proved, and each failure is a sentence with a remedy."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import asyncpg
import httpx
import pytest
from cryptography import x509

from govid.bus import BusSettings, Database
from govid.bus.storage.connection import ConnectionFactory, DatabaseUnreachable
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.migrations import upgrade
from tests.backends.certificates import CertificateAuthority, IssuedCertificate
from tests.backends.debian_postgres import (
    DebianServer,
    debian_server,
    encrypt,
    write_server_certificate,
)
from tests.backends.forked_commands import run
from tests.backends.govid import BASE
from tests.http.serving import demonstration, serving

BY_CERTIFICATE = "certain"
WITH_BOTH = "demanded"
RULES = f"""
hostssl all {BY_CERTIFICATE} 127.0.0.1/32 cert
hostssl all {WITH_BOTH} 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostssl all all 127.0.0.1/32 scram-sha-256
"""
ODD_PASSWORDS = ["a@b", "a/b", "a%b", "a b", "@/% :?#[]&=+", "100%25", "päss wörd", "%2F"]


class TlsPlace(NamedTuple):
    """A server, the authority that issued its certificate, and files of clients."""

    server: DebianServer
    authority: CertificateAuthority
    files: Path

    def url(self, user: str = "postgres", host: str = "localhost", **parameters: str) -> str:
        """Return a URL that demands a trusted certificate. `{files}` is the folder of files."""
        wanted = {"sslmode": "verify-full", "sslrootcert": "{files}/ca.crt", **parameters}
        query = "&".join(
            f"{name}={quote(value.format(files=self.files), safe='')}"
            for name, value in wanted.items()
            if value
        )
        return f"{self.server.url(user=user).replace('127.0.0.1', host)}?{query}"


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def write_files(folder: Path, authority: CertificateAuthority) -> None:
    """Write certificates of clients into *folder*, sound ones and others."""
    other = CertificateAuthority("other")
    good = authority.issue(WITH_BOTH)
    broken = IssuedCertificate(half(good.certificate), half(good.key))
    for name, issued in (
        ("good", good),
        ("certain", authority.issue(BY_CERTIFICATE)),
        ("other", other.issue(WITH_BOTH)),
        ("expired", authority.issue(WITH_BOTH, from_day=-3, until_day=-1)),
        ("locked", authority.issue(WITH_BOTH, password=b"a secret")),
        ("half", broken),
        ("empty", IssuedCertificate(b"", b"")),
        ("noise", IssuedCertificate(os.urandom(300), os.urandom(300))),
    ):
        issued.write(folder, name)
    (folder / "ca.crt").write_bytes(authority.pem)
    (folder / "other-ca.crt").write_bytes(other.pem)
    (folder / "half-ca.crt").write_bytes(half(authority.pem))
    (folder / "one-and-a-half-ca.crt").write_bytes(authority.pem + half(other.pem))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsPlace]:
    """Return a migrated server for TLS only, with a role that needs a certificate."""
    authority = CertificateAuthority("ca")
    files = tmp_path_factory.mktemp("files")
    write_files(files, authority)
    with debian_server() as server:
        upgrade(server.url())
        asyncio.run(
            server.execute(
                f"CREATE ROLE {WITH_BOTH} LOGIN SUPERUSER PASSWORD '{server.password}'",
                f"CREATE ROLE {BY_CERTIFICATE} LOGIN SUPERUSER",
            )
        )
        encrypt(server, authority.issue("localhost", "localhost"), authority.pem, RULES)
        yield TlsPlace(server, authority, files)


@pytest.fixture(scope="module", params=["expired", "not valid yet"])
def untimely(place: TlsPlace, request: pytest.FixtureRequest) -> Iterator[tuple[TlsPlace, str]]:
    """Return a server whose certificate is not valid today, and the reason."""
    days = {"expired": (-3, -1), "not valid yet": (1, 3)}
    reasons = {
        "expired": "its certificate has expired; renew it on the server",
        "not valid yet": "its certificate is not valid yet; compare the clocks of both machines",
    }
    first, last = days[request.param]
    with debian_server() as server:
        issued = place.authority.issue("localhost", "localhost", from_day=first, until_day=last)
        encrypt(server, issued)
        yield TlsPlace(server, place.authority, place.files), reasons[request.param]


async def is_encrypted(url: str) -> bool:
    connection = await ConnectionFactory(url).connect()
    try:
        return bool(
            await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        )
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("user", "parameters"),
    [
        ("postgres", {}),
        ("postgres", {"sslmode": "verify-ca"}),
        ("postgres", {"sslmode": "require"}),
        ("postgres", {"ssl_min_protocol_version": "TLSv1.3"}),
        (WITH_BOTH, {"sslcert": "{files}/good.crt", "sslkey": "{files}/good.key"}),
        (BY_CERTIFICATE, {"sslcert": "{files}/certain.crt", "sslkey": "{files}/certain.key"}),
        (
            WITH_BOTH,
            {
                "sslcert": "{files}/locked.crt",
                "sslkey": "{files}/locked.key",
                "sslpassword": "a secret",
            },
        ),
    ],
)
async def test_a_trusted_server_is_used(
    place: TlsPlace, user: str, parameters: dict[str, str]
) -> None:
    assert await is_encrypted(place.url(user, **parameters))


@pytest.mark.parametrize("password", ODD_PASSWORDS)
async def test_a_password_may_have_any_character(place: TlsPlace, password: str) -> None:
    connection = await asyncpg.connect(place.server.url())
    try:
        text = await connection.fetchval("SELECT quote_literal($1)", password)
        await connection.execute("DROP ROLE IF EXISTS odd")
        await connection.execute(f"CREATE ROLE odd LOGIN PASSWORD {text}")
    finally:
        await connection.close()
    url = place.url("odd").replace(place.server.password, quote(password, safe=""))
    assert await is_encrypted(url)


def client(name: str, key: str = "") -> dict[str, str]:
    return {"sslcert": f"{{files}}/{name}.crt", "sslkey": f"{{files}}/{key or name}.key"}


AT = "no connection to PostgreSQL at {host}:{port} ({reason})"
INCOMPLETE = (
    "the file of {} is not in PEM format, or is incomplete; write a new file completely, then "
    "rename it"
)
NO_KEY = (
    "the file of sslkey is not a private key in PEM format, is incomplete, or needs another "
    "sslpassword; write a new file completely, then rename it"
)
UNTRUSTED = (
    "its certificate is not trusted; sslrootcert has to contain the authority that issued it"
)
DEMANDED = (
    "the database demands a client certificate: name its files in GOVID_DATABASE_URL as sslcert "
    "and sslkey"
)
ANOTHER_ROLE = (
    "the database does not accept the client certificate for this role: its common name has to be "
    "the name of the role, unless pg_ident.conf maps it"
)
UNENCRYPTED = (
    "the database accepts no unencrypted connection: set sslmode=verify-full in GOVID_DATABASE_URL"
)
REFUSED = (
    "the server closed the connection during the TLS negotiation; it may not accept the "
    "certificate of sslcert: its authority has to be in ssl_ca_file of the server"
)
Case = tuple[str, str, dict[str, str], str]
UNREACHABLE: Sequence[Case] = [
    (
        "postgres",
        "127.0.0.1",
        {},
        "its certificate is for another name; connect by a name that it contains",
    ),
    ("postgres", "localhost", {"sslrootcert": "{files}/other-ca.crt"}, UNTRUSTED),
    *(
        ("postgres", "localhost", {"sslrootcert": f"{{files}}/{name}.crt"}, reason)
        for name, reason in (
            ("half-ca", INCOMPLETE.format("sslrootcert")),
            ("one-and-a-half-ca", INCOMPLETE.format("sslrootcert")),
            ("empty", INCOMPLETE.format("sslrootcert")),
            ("noise", INCOMPLETE.format("sslrootcert")),
        )
    ),
    (WITH_BOTH, "localhost", client("other"), REFUSED),
    (
        WITH_BOTH,
        "localhost",
        client("expired"),
        "the certificate of sslcert has expired; renew it",
    ),
    (
        WITH_BOTH,
        "localhost",
        client("good", "other"),
        "the key of sslkey does not belong to the certificate of sslcert",
    ),
    (WITH_BOTH, "localhost", client("half", "good"), INCOMPLETE.format("sslcert")),
    (WITH_BOTH, "localhost", client("empty", "good"), INCOMPLETE.format("sslcert")),
    (WITH_BOTH, "localhost", client("noise", "good"), INCOMPLETE.format("sslcert")),
    (WITH_BOTH, "localhost", client("good", "half"), NO_KEY),
    (WITH_BOTH, "localhost", client("good", "empty"), NO_KEY),
    (WITH_BOTH, "localhost", client("locked"), NO_KEY),
    (WITH_BOTH, "localhost", {**client("locked"), "sslpassword": "another"}, NO_KEY),
    (WITH_BOTH, "localhost", {"sslcert": "{files}/good.crt"}, NO_KEY),
]
DENIED: Sequence[Case] = [
    (WITH_BOTH, "localhost", {}, DEMANDED),
    (BY_CERTIFICATE, "localhost", {}, DEMANDED),
    (BY_CERTIFICATE, "localhost", client("good"), ANOTHER_ROLE),
    ("postgres", "127.0.0.1", {"sslmode": "disable", "sslrootcert": ""}, UNENCRYPTED),
]


def commands(folder: Path, url: str, sentence: str) -> None:
    """Assert that `check` and `serve` print *sentence* about *url*, and no traceback."""
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("GOVID_")},
        **BASE,
        "GOVID_DATABASE_URL": url,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "GOVID_PORT": "0",
    }
    code, lines = run("check", folder=folder, environment=environment)
    assert (code, f"fault: {sentence}" in lines) == (5, True), lines
    code, lines = run("serve", folder=folder, environment=environment)
    assert (code, f"govid: {sentence}." in lines) == (4, True), lines
    assert "Traceback" not in "".join(lines)


@pytest.mark.parametrize(("user", "host", "parameters", "reason"), UNREACHABLE)
def test_a_connection_that_cannot_be_trusted_is_explained(
    place: TlsPlace,
    tmp_path: Path,
    user: str,
    host: str,
    parameters: dict[str, str],
    reason: str,
) -> None:
    sentence = AT.format(host=host, port=place.server.port, reason=reason)
    commands(tmp_path, place.url(user, host, **parameters), sentence)


@pytest.mark.parametrize(("user", "host", "parameters", "reason"), DENIED)
def test_a_login_that_the_server_refuses_is_explained(
    place: TlsPlace,
    tmp_path: Path,
    user: str,
    host: str,
    parameters: dict[str, str],
    reason: str,
) -> None:
    commands(tmp_path, place.url(user, host, **parameters), reason)


def test_a_certificate_that_is_not_valid_today_is_explained(
    untimely: tuple[TlsPlace, str], tmp_path: Path
) -> None:
    place, reason = untimely
    sentence = AT.format(host="localhost", port=place.server.port, reason=reason)
    commands(tmp_path, place.url(), sentence)


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey"])
def test_a_file_that_vanishes_while_the_server_runs_is_explained(
    place: TlsPlace, tmp_path: Path, name: str
) -> None:
    parameters = {"sslrootcert": "{files}/ca.crt", **client("good")}
    copies = {key: tmp_path / key for key in parameters}
    for key, path in copies.items():
        path.write_bytes(Path(parameters[key].format(files=place.files)).read_bytes())
    factory = ConnectionFactory(
        place.url(WITH_BOTH, **{key: str(path) for key, path in copies.items()})
    )
    copies[name].unlink()
    with pytest.raises(DatabaseUnreachable, match=f"the file of {name} cannot be read"):
        asyncio.run(factory.connect())


async def until_connected(database: Database, query: str) -> Any:
    """Return what *query* returns as soon as the pool has a connection again."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return await database.reads.fetchval(query)
        except DRIVER_ERRORS:
            assert time.monotonic() < deadline, "no connection"
            await asyncio.sleep(0.05)


SERIAL = "SELECT client_serial::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE usename = 'demanded' AND pid <> pg_backend_pid()"
)


async def test_a_replaced_client_certificate_is_used_by_the_next_connection(
    place: TlsPlace, tmp_path: Path
) -> None:
    first, second = (place.authority.issue(WITH_BOTH) for _ in range(2))
    certificate, key = first.write(tmp_path, "client")
    settings = BusSettings(
        database_url=place.url(WITH_BOTH, sslcert=str(certificate), sslkey=str(key)),
        kafka_bootstrap_servers="",
        pseudonym_key=b"x" * 32,
    )
    async with Database(settings) as database:
        assert await database.reads.fetchval(SERIAL) == serial_of(first)
        second.write(tmp_path, "client")
        await place.server.execute(END_OTHERS)
        assert await until_connected(database, SERIAL) == serial_of(second)


def serial_of(issued: IssuedCertificate) -> str:
    return str(x509.load_pem_x509_certificate(issued.certificate).serial_number)


async def test_half_a_certificate_is_an_outage_until_it_is_complete(
    place: TlsPlace, tmp_path: Path
) -> None:
    issued = place.authority.issue(WITH_BOTH)
    certificate, key = issued.write(tmp_path, "client")
    url = place.url(WITH_BOTH, sslcert=str(certificate), sslkey=str(key))
    settings = BusSettings(database_url=url, kafka_bootstrap_servers="", pseudonym_key=b"x" * 32)
    async with Database(settings) as database:
        certificate.write_bytes(half(issued.certificate))
        await place.server.execute(END_OTHERS)
        with pytest.raises(DatabaseUnreachable, match=INCOMPLETE.format("sslcert")):
            await ConnectionFactory(url).connect()
        certificate.write_bytes(issued.certificate)
        assert await until_connected(database, SERIAL) == serial_of(issued)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_authorities_are_replaced_while_the_service_runs(tmp_path: Path) -> None:
    former, latter = CertificateAuthority("former"), CertificateAuthority("latter")
    root = tmp_path / "ca.crt"
    root.write_bytes(former.pem)
    with debian_server() as server:
        await asyncio.to_thread(upgrade, server.url())
        await asyncio.to_thread(encrypt, server, former.issue("localhost", "localhost"))
        place = TlsPlace(server, former, tmp_path)
        with serving(demonstration(place.url(), tmp_path)) as address:
            async with httpx.AsyncClient(base_url=address, timeout=20) as http:
                assert (await http.get("/health/ready")).status_code == 200
                root.write_bytes(former.pem + latter.pem)
                write_server_certificate(server, latter.issue("localhost", "localhost"))
                await server.execute("SELECT pg_reload_conf()")
                await until_trusted(place, latter)
                root.write_bytes(latter.pem)
                await server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
                await until_ready(http)


async def until_trusted(place: TlsPlace, authority: CertificateAuthority) -> None:
    """Wait until the server shows a certificate of *authority*."""
    alone = place.files / "alone.crt"
    alone.write_bytes(authority.pem)
    deadline = time.monotonic() + 20
    while True:
        try:
            assert await is_encrypted(place.url(sslrootcert=str(alone)))
        except DatabaseUnreachable:
            assert time.monotonic() < deadline, "the server does not read its certificate"
            await asyncio.sleep(0.05)
        else:
            return


async def until_ready(http: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + 30
    while (answer := await http.get("/health/ready")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)
