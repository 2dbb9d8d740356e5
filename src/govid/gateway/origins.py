"""Normalises browser origins, so that they can be compared byte by byte."""

import re
from ipaddress import IPv6Address

ANY_ORIGIN = "*"
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535


def normalise_origin(text: str) -> str | None:
    """Return *text* as browsers send it in `Origin`, None if it is no origin.

    The result is lower case, without the default port of the scheme and without a trailing slash. A
    text with a path, a query, a user or a wildcard, or without a scheme, is no origin.

    Source: RFC 6454, section 6.2.
    """
    found = _ORIGIN.fullmatch(text.strip().lower())
    if found is None:
        return None
    scheme, host = found["scheme"], found["host"]
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return None
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port <= _LAST_PORT:
        return None
    return f"{scheme}://{host}" + ("" if port in {None, _DEFAULT_PORTS.get(scheme)} else f":{port}")
