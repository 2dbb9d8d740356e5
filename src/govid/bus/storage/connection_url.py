"""Parses a connection URL as libpq does, and reports what govid does not support.

Parameters may also be given in a service file (`service=`). The parameters are those of the
PostgreSQL documentation, section "Parameter Key Words".
"""

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from govid.bus.shared.privacy import RedactedStruct

SCHEMES = frozenset({"postgresql", "postgres"})
TLS_PARAMETERS = (
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
"""Parameters that the driver accepts only in its URL."""
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
SYSTEM_CERTIFICATES = "system"
NO_FILE = f"{os.devnull}/none"
"""The path of a file that never exists: `password_file` replaces the driver's own reading."""
LARGEST_PORT = 65_535
DEFAULT_PORT = 5432
KEEPALIVES = ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count")
SOCKET_PARAMETERS = (*KEEPALIVES, "tcp_user_timeout")
_PLAIN = frozenset(
    {
        *TLS_PARAMETERS,
        *SOCKET_PARAMETERS,
        "host",
        "port",
        "dbname",
        "user",
        "password",
        "passfile",
        "connect_timeout",
        "application_name",
        "fallback_application_name",
        "options",
        "target_session_attrs",
        "load_balance_hosts",
    }
)
# The values that match what govid does anyway; any other value is refused.
_ONLY: Mapping[str, frozenset[str]] = {
    "channel_binding": frozenset({"disable", "prefer"}),
    "client_encoding": frozenset({"utf8", "utf-8", "auto"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "max_protocol_version": frozenset({"3.0"}),
    "min_protocol_version": frozenset({"3.0"}),
    "replication": frozenset({"false", "off", "no", "0"}),
    "sslcertmode": frozenset({"allow"}),
    "sslcompression": frozenset({"0"}),
    "sslsni": frozenset({"1"}),
}
_UNSUPPORTED = frozenset(
    {
        "gssdelegation",
        "gsslib",
        "hostaddr",
        "krbsrvname",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_issuer",
        "oauth_scope",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "sslcrldir",
        "sslkeylogfile",
    }
)
_VALUES: Mapping[str, frozenset[str]] = {
    "sslmode": frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}),
    "sslnegotiation": frozenset({"postgres", "direct"}),
    "target_session_attrs": frozenset({"any", "read-write", "primary"}),
    "load_balance_hosts": frozenset({"disable", "random"}),
    "ssl_min_protocol_version": frozenset({"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}),
    "ssl_max_protocol_version": frozenset({"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}),
}
_KNOWN = frozenset(
    {*_PLAIN, *_ONLY, *_UNSUPPORTED, "database", "service", "servicefile", "requiressl"}
)
_UNENCODED = (
    "an @ follows the one that ends user and password: write @ as %40, / as %2F, % as %25, : as "
    "%3A and a space as %20 in the user, the password and the name of the database"
)
_VERIFYING = frozenset({"verify-ca", "verify-full"})
_NUMBERS = ("connect_timeout", *SOCKET_PARAMETERS)
_OPTION = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=((?:\\.|[^\s\\])*)(?:\s+|$)")
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[^:]*))?")


class InvalidConnectionUrl(ValueError):
    """The URL cannot be used. `problems` are sentences about it that contain no value of it."""

    def __init__(self, problems: list[str]) -> None:
        """Report all *problems* at once."""
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class ConnectionUrl(RedactedStruct, frozen=True, kw_only=True):
    """A parsed URL. Without `hosts` the driver uses libpq's defaults (PGHOST, sockets)."""

    hosts: tuple[tuple[str, int | None], ...] = ()
    user: str | None = None
    password: str | None = None
    database: str | None = None
    passfile: str | None = None
    tls: Mapping[str, str] = {}
    target_session_attrs: str | None = None
    shuffles_hosts: bool = False
    connect_seconds: float | None = None
    application_name: str | None = None
    options: Mapping[str, str] = {}
    """Settings of the session, from `options=-c name=value`."""
    socket: Mapping[str, int] = {}

    @property
    def location(self) -> str:
        """Return the hosts and ports, for a sentence."""
        return ", ".join(map(format_host, self.hosts)) or "its default"

    @property
    def demands_writes(self) -> bool:
        """Whether only a server that accepts writes may be used.

        By default libpq uses any of several hosts. govid always needs writes, so with several
        hosts it searches for one that accepts them.
        """
        wanted = self.target_session_attrs or os.environ.get("PGTARGETSESSIONATTRS")
        return wanted in {"read-write", "primary"} if wanted else len(self.hosts) > 1

    @property
    def is_verified(self) -> bool:
        """Whether every connection is encrypted and the certificate of the server is verified."""
        authorities = self.tls.get("sslrootcert")
        mode = self.tls.get("sslmode") or os.environ.get("PGSSLMODE")
        if mode in _VERIFYING or authorities == SYSTEM_CERTIFICATES:
            return True
        # As in libpq, `require` verifies if there is an authority to trust.
        return mode == "require" and _has_authorities(authorities)

    def driver_arguments(self) -> dict[str, Any]:
        """Return the arguments of `asyncpg.connect` but for host, port, TLS and timeout."""
        return {
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "passfile": NO_FILE,
            "target_session_attrs": "any",
        }

    def driver_dsn(self) -> str:
        """Return a URL for the driver with the TLS parameters only."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in self.tls.items())
        return f"postgresql://?{query}" if query else "postgresql://"


def format_host(host: tuple[str, int | None]) -> str:
    """Format a host and its port, for a sentence."""
    name, port = host
    return f"[{name}]:{port or DEFAULT_PORT}" if ":" in name else f"{name}:{port or DEFAULT_PORT}"


def parse_url(url: str) -> ConnectionUrl:
    """Parse *url*.

    Raises:
        InvalidConnectionUrl: it is malformed, or demands what govid does not support.
    """
    problems: list[str] = []
    parameters = dict(_parse_parameters(url, problems))
    parameters = _add_service_parameters(parameters, problems)
    if parameters.pop("requiressl", "0") == "1":
        parameters.setdefault("sslmode", "require")
    problems += _find_problems(parameters)
    hosts = _parse_hosts(parameters, problems)
    options = _parse_options(parameters.get("options", ""), problems)
    if problems:
        raise InvalidConnectionUrl(problems)
    timeout = int(parameters.get("connect_timeout", 0))
    return ConnectionUrl(
        hosts=hosts,
        user=parameters.get("user"),
        password=parameters.get("password"),
        database=parameters.get("dbname"),
        passfile=parameters.get("passfile"),
        tls={name: parameters[name] for name in TLS_PARAMETERS if name in parameters},
        target_session_attrs=parameters.get("target_session_attrs"),
        shuffles_hosts=parameters.get("load_balance_hosts") == "random",
        # As in libpq: 0 means no limit, and less than two seconds mean two.
        connect_seconds=max(2, timeout) if timeout > 0 else None,
        application_name=parameters.get(
            "application_name", parameters.get("fallback_application_name")
        ),
        options=options,
        socket={name: int(parameters[name]) for name in SOCKET_PARAMETERS if name in parameters},
    )


def _parse_parameters(url: str, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the parameters of *url*, from all its parts."""
    scheme, separator, rest = url.partition("://")
    # The name of a driver is accepted: `postgresql+asyncpg://`.
    if not separator or scheme.partition("+")[0] not in SCHEMES:
        problems.append("it does not begin with postgresql://")
        return
    credentials, rest = _split_credentials(rest)
    path, _, query = rest.partition("?")
    if "@" in path or any(map(_may_be_credentials, query.split("&"))):
        # Whatever was split off may be a part of the password, so nothing of it is used.
        problems.append(_UNENCODED)
        return
    hosts, _, database = path.partition("/")
    user, _, password = credentials.partition(":")
    parts = {"user": user, "password": password, "dbname": database}
    found = {name: unquote(part) for name, part in parts.items() if part}
    if hosts:
        # Decoded later: its commas and colons have to be distinguished from encoded ones.
        found["authority"] = hosts
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        name = {"database": "dbname"}.get(unquote(name), unquote(name))
        if name in found and name not in parts:
            problems.append(f"its parameter {_mask_parameter_name(name)} is given twice")
        if value:
            found[name] = unquote(value)
    if "host" in found:
        found.pop("authority", None)
    yield from found.items()


def _may_be_credentials(pair: str) -> bool:
    """Tell whether *pair* of the query may be the rest of a password and the host after it."""
    name, _, value = pair.partition("=")
    return "@" in name or ("@" in value and unquote(name) not in _KNOWN)


def _split_credentials(rest: str) -> tuple[str, str]:
    """Split *rest* at the `@` that ends user and password, if there is one.

    libpq searches for it before the first slash. A password that contains a slash is also accepted.
    """
    at = rest.find("@")
    slash = rest.find("/")
    if at >= 0 and (slash < 0 or at < slash):
        return rest[:at], rest[at + 1 :]
    at = rest.partition("?")[0].rfind("@")
    return (rest[:at], rest[at + 1 :]) if at >= 0 else ("", rest)


def _add_service_parameters(parameters: dict[str, str], problems: list[str]) -> dict[str, str]:
    """Add the parameters of the service file that the URL does not have."""
    name = parameters.pop("service", None) or os.environ.get("PGSERVICE")
    service_file = parameters.pop("servicefile", None) or os.environ.get("PGSERVICEFILE")
    if not name:
        return parameters
    folders = [os.environ.get("PGSYSCONFDIR", "/etc/postgresql-common")]
    files = [Path(service_file)] if service_file else [Path("~/.pg_service.conf").expanduser()]
    files += [Path(folder, "pg_service.conf") for folder in folders]
    for file in files:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        if parser.has_section(name):
            found = dict(parser[name])
            if "authority" in parameters:
                found.pop("host", None)
                found.pop("port", None)
            return {**found, **parameters}
    problems.append("its service is in no service file that can be read")
    return parameters


def _find_problems(parameters: Mapping[str, str]) -> Iterator[str]:
    for name, value in parameters.items():
        if name != "authority" and (fault := _find_problem(name, value)):
            yield fault
    mode = parameters.get("sslmode", "verify-full")
    if parameters.get("sslrootcert") == SYSTEM_CERTIFICATES and mode != "verify-full":
        yield "its parameter sslrootcert=system needs sslmode=verify-full"
    if parameters.get("sslmode") in _VERIFYING and not _has_authorities(
        parameters.get("sslrootcert")
    ):
        yield f"its parameter sslmode={mode} needs sslrootcert, or sslrootcert=system"


def _has_authorities(file: str | None) -> bool:
    """Tell whether there are authorities to trust: *file*, libpq's variable, or its default."""
    named = file or os.environ.get("PGSSLROOTCERT")
    return bool(named) or Path("~/.postgresql/root.crt").expanduser().exists()


def _find_problem(name: str, value: str) -> str | None:
    shown = _mask_parameter_name(name)
    if name in _UNSUPPORTED:
        return f"govid does not support its parameter {shown}"
    if name in _ONLY:
        known = value.lower() in _ONLY[name]
        return None if known else f"govid does not support this value of the parameter {shown}"
    if name not in _PLAIN:
        return (
            f"PostgreSQL has no parameter {shown}; "
            "write a setting of the server as options=-c%20name%3Dvalue"
        )
    if name in _VALUES and value not in _VALUES[name]:
        allowed = ", ".join(sorted(_VALUES[name]))
        return f"its parameter {shown} is not one of: {allowed}"
    if name in _NUMBERS and not re.fullmatch(r"-?\d{1,9}", value):
        return f"its parameter {shown} is not a whole number"
    if name in FILES and value != SYSTEM_CERTIFICATES and not os.access(value, os.R_OK):
        return f"the file of its parameter {shown} cannot be read"
    return None


def _parse_hosts(
    parameters: Mapping[str, str], problems: list[str]
) -> tuple[tuple[str, int | None], ...]:
    if "host" in parameters:
        names = [_split_host(host) for host in parameters["host"].split(",")]
    elif "authority" in parameters:
        names = [_parse_address(part, problems) for part in parameters["authority"].split(",")]
    else:
        names = []
    ports = [port for port in parameters.get("port", "").split(",") if port]
    if len(ports) not in {0, 1, max(1, len(names))}:
        problems.append("it has another number of ports than of hosts")
        return ()
    spread = ports * len(names) if len(ports) == 1 else ports or [""] * len(names)
    if not names and ports:
        names, spread = [("localhost", "")], ports
    found = []
    for (host, own), common in zip(names, spread, strict=True):
        port = own or common
        if port and not (port.isascii() and port.isdecimal() and 0 < int(port) <= LARGEST_PORT):
            problems.append("one of its ports is not a number from 1 to 65535")
            continue
        found.append((host or "localhost", int(port) if port else None))
    return tuple(found)


def _split_host(host: str) -> tuple[str, str]:
    """Return a host of the parameter `host`, whose port libpq expects in `port`."""
    name, _, port = host.rpartition(":")
    if name and port.isdecimal() and ":" not in name:
        return name, port
    return host.strip("[]"), ""


def _parse_address(part: str, problems: list[str]) -> tuple[str, str]:
    found = _ADDRESS.fullmatch(part)
    if found is None:
        problems.append("one of its hosts cannot be read (an IPv6 address needs brackets)")
        return "", ""
    return unquote(found["six"] or found["name"] or ""), unquote(found["port"] or "")


def _parse_options(text: str, problems: list[str]) -> dict[str, str]:
    """Parse `-c name=value` and `--name=value`, as the server would."""
    options: dict[str, str] = {}
    rest = text.strip()
    while rest:
        found = _OPTION.match(rest)
        if found is None:
            problems.append("its parameter options holds something else than -c name=value")
            break
        options[found[1].replace("-", "_")] = re.sub(r"\\(.)", r"\1", found[2])
        rest = rest[found.end() :]
    return options


def _mask_parameter_name(name: str) -> str:
    """Return *name* if it can be shown: in a malformed URL it may be part of a password."""
    return name if re.fullmatch(r"[A-Za-z_]{1,40}", name) else "(of an odd name)"
