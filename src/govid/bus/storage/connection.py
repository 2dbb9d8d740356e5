"""Opens every connection to PostgreSQL: one parser, one list of session settings.

`serve`, `check`, `migrate`, all commands, Alembic and the workers connect through
`ConnectionFactory`, so that `check` connects in the same way as `serve`:

    factory = ConnectionFactory(database_url, application="govid check")
    connection = await factory.connect()         # an asyncpg.Connection

`database.create_engine` makes a SQLAlchemy engine on such connections.

`InvalidConnectionUrl` (from the constructor) has `faults`, sentences about the URL.
`DatabaseUnreachable` (from `connect`) names the place and the reason in one sentence. An error
response of the server stays an `asyncpg.PostgresError`, which `errors.classify_database_error`
classifies.

The settings are set after connecting rather than sent with the start-up message, because a pooler
in between (PgBouncer) refuses or drops start-up parameters. They are read back, and a connection
without one of them is refused: the timeouts limit how long a frozen process holds its locks (I4).
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import asyncpg
import msgspec

from govid.bus.storage.connection_url import (
    SYSTEM_CERTIFICATES,
    ConnectionUrl,
    InvalidConnectionUrl,
    format_host,
    parse_url,
)
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.bus.storage.password_file import PasswordFile
from govid.bus.storage.server_history import ServerHistory, ServerReplaced
from govid.bus.storage.tls_failures import describe_tls_failure

__all__ = [
    "ConnectionFactory",
    "ConnectionUrl",
    "DatabaseUnreachable",
    "InvalidConnectionUrl",
    "SessionRefused",
    "WritesRefused",
    "format_host",
    "parse_url",
]

STATEMENT_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
CONNECT_SECONDS = 5.0
"""How long to wait for a new connection, unless the URL has another limit. With the driver's
default of one minute a dispatcher would be idle for that long while its leases are renewed.
"""
MIN_HOST_SECONDS = 1.0
"""The least time for one host, however many hosts the URL has."""
ENCODING = "UTF8"
_TRANSACTION_TIMEOUT_SINCE = 17
_UNVERIFIED = ("application_name", "tcp_")
"""Settings that are not compared: servers shorten names, and Unix sockets have no TCP values."""

_SET = """
    SELECT name, pg_catalog.set_config(name, value, false)
    FROM unnest($1::text[], $2::text[]) AS wanted (name, value)
"""
_READ = """
    SELECT name, pg_catalog.current_setting(name) AS value
    FROM unnest($1::text[]) AS wanted (name)
"""


class DatabaseUnreachable(ConnectionError):
    """No connection to a server was possible. The text names the place and the reason."""


class SessionRefused(DatabaseUnreachable):
    """A server accepted the connection, but its session is not what govid needs."""


class WritesRefused(SessionRefused):
    """The URL demands a server that accepts writes, and only a standby, or none, responds."""


WRITES_REMEDY = "promote a standby, or name the primary in the URL"
_OWN_SENTENCES = (SessionRefused, asyncpg.PostgresError)
"""Errors that say for themselves what is wrong."""


def format_milliseconds(number: int) -> str:
    """Format *number* milliseconds as PostgreSQL shows them: in the largest whole unit."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if number and number % size == 0:
            return f"{number // size}{unit}"
    return f"{number}ms" if number else "0"


def session_settings(
    application: str,
    *,
    statement_ms: int = STATEMENT_TIMEOUT_MS,
    lock_ms: int = 0,
    idle_in_transaction_ms: int = IDLE_IN_TRANSACTION_TIMEOUT_MS,
) -> dict[str, str]:
    """Return the settings of every session of govid, as PostgreSQL shows them.

    They override the defaults of the server, the database and the role.
    """
    return {
        "application_name": application,
        "default_transaction_isolation": "read committed",
        "statement_timeout": format_milliseconds(statement_ms),
        "lock_timeout": format_milliseconds(lock_ms),
        # A process frozen inside a transaction may not hold its locks beyond its leases (I4).
        "idle_in_transaction_session_timeout": format_milliseconds(idle_in_transaction_ms),
        # Pools keep idle sessions on purpose.
        "idle_session_timeout": "0",
        "TimeZone": "UTC",
        "search_path": "public",
        # Compilation takes longer than any statement of govid.
        "jit": "off",
        # A COMMIT that was acknowledged is on disk: receipts and acknowledgements depend on it.
        "synchronous_commit": "on",
    }


TRUSTED_SEARCH_PATH = {"search_path": "pg_catalog, pg_temp"}
"""Settings of sessions that may be those of a superuser or of the owner.

A role that may create functions in schema `public` could otherwise write one that PostgreSQL takes
for a function of its own.
"""


class ConnectionFactory:
    """Opens connections to the database of one URL, all with the same session settings."""

    def __init__(
        self,
        database_url: str,
        *,
        application: str = "govid",
        settings: Mapping[str, str] = {},
        command_timeout: float | None = None,
        on_result: Callable[[BaseException | None], None] = lambda _: None,
    ) -> None:
        """Connect as *application*; *settings* add to `session_settings`, or replace them.

        *on_result* is called after each attempt, with its error or None.

        An `application_name` in the URL replaces the first part of *application*, as in
        `payroll leases`. A statement that takes longer than *command_timeout* seconds is cancelled.

        Raises:
            InvalidConnectionUrl: the URL cannot be used.
        """
        self.url = parse_url(database_url)
        if self.url.application_name is not None:
            application = " ".join([self.url.application_name, *application.split()[1:]])[:63]
        self._settings = {**session_settings(application), **settings}
        self._settings["application_name"] = application
        self._command_timeout = command_timeout
        self._on_result = on_result
        self._password_file = PasswordFile(self.url)
        self._history = ServerHistory.of_url(database_url)

    async def connect(self, **driver_options: Any) -> Any:
        """Open a connection (`asyncpg.Connection`, which carries no types).

        Raises:
            DatabaseUnreachable: no host responds.
            WritesRefused: the URL demands writes, and no host that responds accepts them.
            SessionRefused: a setting was not applied, or the database is not encoded in UTF-8.
            asyncpg.PostgresError: the server refuses the session.
        """
        try:
            connection = await self._connect_to_any_host(driver_options)
        except DRIVER_ERRORS as error:
            self._on_result(error)
            raise
        self._on_result(None)
        return connection

    async def _connect_to_any_host(self, driver_options: dict[str, Any]) -> Any:
        driver_options.setdefault("command_timeout", self._command_timeout)
        hosts: Sequence[tuple[str, int | None] | None] = self._hosts_in_order()
        seconds = self._seconds_per_host()
        failures: list[BaseException] = []
        for host in hosts:
            try:
                return await self._connect_to_host(host, seconds, driver_options)
            except SessionRefused as error:
                failures.append(error)
                if not self.url.demands_writes:
                    raise
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError) as e:
                failures.append(e)
            except asyncpg.InvalidPasswordError as error:
                if fault := self._password_file.explain_refusal(*(host or (None, None))):
                    raise DatabaseUnreachable(f"the database refuses the login: {fault}") from error
                raise
            except asyncpg.ClientConfigurationError as error:
                raise DatabaseUnreachable(f"the driver refuses the URL: {error}") from error
        summary = self._summarise_failures(hosts, failures)
        # An error that is its own cause would never end for those who follow the causes.
        raise summary from (None if summary is failures[-1] else failures[-1])

    def _summarise_failures(
        self, hosts: Sequence[tuple[str, int | None] | None], failures: Sequence[BaseException]
    ) -> BaseException:
        """Return one error for all *hosts*, each of which failed with one of *failures*."""
        *_, last = failures
        reasons = [describe_tls_failure(one, self.url.tls) for one in failures]
        if len(hosts) == 1 and reasons == [None] and isinstance(last, _OWN_SENTENCES):
            return last
        described = [
            reason or _describe_failure(one) for reason, one in zip(reasons, failures, strict=True)
        ]
        if any(isinstance(one, WritesRefused | ServerReplaced) for one in failures):
            # In the order of the URL, so that one state is always the same sentence.
            by_host = dict(zip(hosts, described, strict=True))
            each = "; ".join(
                f"{self.url.location if host is None else format_host(host)}: {by_host[host]}"
                for host in self.url.hosts or hosts
            )
            return WritesRefused(
                f"no server at {self.url.location} accepts writes ({each}); {WRITES_REMEDY}"
            )
        if isinstance(last, _OWN_SENTENCES) and reasons[-1] is None:
            return last
        return DatabaseUnreachable(
            f"no connection to PostgreSQL at {self.url.location} ({described[-1]})"
        )

    def select_host(self, host: tuple[str, int | None]) -> "ConnectionFactory":
        """Return a factory for *host* of several alone, whether or not it accepts writes."""
        selected = copy(self)
        selected.url = msgspec.structs.replace(
            self.url,
            hosts=(host,),
            target_session_attrs="any",
            connect_seconds=self._seconds_per_host(),
        )
        selected._history = ServerHistory()  # noqa: SLF001 - its own class
        return selected

    def _seconds_per_host(self) -> float:
        share = CONNECT_SECONDS / max(1, len(self.url.hosts))
        return self.url.connect_seconds or max(MIN_HOST_SECONDS, share)

    def _hosts_in_order(self) -> list[tuple[str, int | None] | None]:
        hosts: list[tuple[str, int | None] | None] = list(self.url.hosts)
        if self.url.shuffles_hosts:
            random.shuffle(hosts)
        elif (last := self._history.last_host) in hosts:
            # After a fail-over the first host may be one that drops every packet, or the primary
            # that was replaced.
            hosts.remove(last)
            hosts.insert(0, last)
        return hosts or [None]

    async def _connect_to_host(
        self, host: tuple[str, int | None] | None, seconds: float, driver_options: dict[str, Any]
    ) -> Any:
        address: dict[str, Any] = {} if host is None else {"host": host[0], "port": host[1]}
        if self._password_file.is_used:
            address["password"] = self._password_file.find_password(*(host or (None, None)))
        async with asyncio.timeout(seconds + 1):
            connection: Any = await asyncpg.connect(
                self.url.driver_dsn(),
                **{**self.url.driver_arguments(), **address},
                **self._tls_arguments(),
                **driver_options,
                timeout=seconds,
            )
            try:
                self._set_socket_options(connection)
                await self._prepare_session(connection)
                await self._history.observe(connection, host)
            except BaseException:
                connection.terminate()
                raise
        return connection

    def _tls_arguments(self) -> dict[str, Any]:
        """Return a TLS context if the driver does not support the TLS parameters of the URL."""
        tls = self.url.tls
        if tls.get("sslrootcert") != SYSTEM_CERTIFICATES:
            return {}
        context = ssl.create_default_context()
        if "sslcert" in tls:
            context.load_cert_chain(
                tls["sslcert"], tls.get("sslkey"), lambda: tls.get("sslpassword", "")
            )
        if "sslcrl" in tls:
            context.load_verify_locations(tls["sslcrl"])
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if version := tls.get("ssl_min_protocol_version"):
            context.minimum_version = _TLS_VERSIONS[version]
        if version := tls.get("ssl_max_protocol_version"):
            context.maximum_version = _TLS_VERSIONS[version]
        return {"ssl": context}

    def _set_socket_options(self, connection: Any) -> None:
        """Set the socket options that libpq would set on the client's side."""
        end = connection._transport.get_extra_info("socket")  # noqa: SLF001 - no public access
        if end is None or end.family == socket.AF_UNIX:
            return
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, self.url.socket.get("keepalives", 1))
        for name, option in (
            ("keepalives_idle", "TCP_KEEPIDLE"),
            ("keepalives_interval", "TCP_KEEPINTVL"),
            ("keepalives_count", "TCP_KEEPCNT"),
            ("tcp_user_timeout", "TCP_USER_TIMEOUT"),
        ):
            if self.url.socket.get(name, 0) > 0 and hasattr(socket, option):
                number = self.url.socket[name]
                end.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), number)

    async def _prepare_session(self, connection: Any) -> None:
        """Check the session, apply the settings, and read them back."""
        encoding = connection.get_settings().server_encoding
        if encoding != ENCODING:
            raise SessionRefused(
                f"the database is encoded in {encoding}; govid needs one that was created with "
                "ENCODING 'UTF8'"
            )
        wanted = dict(self._settings)
        if connection.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
            wanted["transaction_timeout"] = "0"
        settings = {**self.url.options, **wanted}
        await connection.fetch(_SET, list(settings), list(settings.values()))
        found = {row["name"]: row["value"] for row in await connection.fetch(_READ, list(wanted))}
        lost = sorted(
            name
            for name, value in wanted.items()
            if found.get(name) != value and not name.startswith(_UNVERIFIED)
        )
        if lost:
            raise SessionRefused(
                f"settings of the session were not applied: {', '.join(lost)}; a pooler in "
                "transaction mode loses them, session mode keeps them"
            )
        if self.url.demands_writes and await connection.fetchval(IS_READ_ONLY):
            raise WritesRefused(f"no server at {self.url.location} accepts writes; {WRITES_REMEDY}")


IS_READ_ONLY = (
    "SELECT pg_catalog.pg_is_in_recovery()"
    " OR pg_catalog.current_setting('transaction_read_only')::bool"
)
"""Whether the server is a standby, or is set to accept no writes."""


_TLS_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_REASONS: Sequence[tuple[type[BaseException], str]] = (
    (TimeoutError, "no answer in time"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "the server closed the connection"),
    (FileNotFoundError, "there is no such socket"),
    (PermissionError, "its socket may not be opened"),
    (socket.gaierror, "its name is not known"),
    (ssl.SSLError, "TLS negotiation failed"),
)


def _describe_failure(failure: BaseException | None) -> str:
    """Return the reason of a failed connection, as text."""
    if isinstance(failure, WritesRefused):
        return "it is a standby, or read-only"
    if isinstance(failure, ServerReplaced):
        return str(failure)
    if isinstance(failure, asyncpg.PostgresError):
        return f"it refuses the connection, SQLSTATE {failure.sqlstate}"
    if isinstance(failure, SessionRefused):
        return str(failure)
    if "SSL" in str(failure) and type(failure) is ConnectionError:
        # The driver has no class for it.
        return "it offers no encryption"
    for kind, text in _REASONS:
        if isinstance(failure, kind):
            return text
    # A name with several addresses fails with one error for all of them.
    return "none of its addresses accepts a connection"
