"""Checks allowed host names and determines the client's address behind trusted proxies.

The `Host` header is compared with an exact list; govid does not use Litestar's check, in which a
name is a pattern that includes the port.

Of the forwarding headers only `X-Forwarded-For` is read, only from a trusted proxy, and from right
to left. Entries to the left of the first untrusted address are ignored, because that address wrote
them. `Forwarded`, `X-Real-IP` and similar headers are ignored.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from govid.gateway.http.limits import LimitExceeded
from govid.gateway.http.request_info import RequestInfo

FORWARDED_FOR = b"x-forwarded-for"
_LONGEST = 64
"""The longest text that is parsed; no address is longer, even with a port."""


class TrustedProxies:
    """The trusted proxies, whose `X-Forwarded-For` is believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Trust the proxies in *networks* (CIDRs).

        Raises:
            ValueError: one of them is no network.
        """
        self._networks = tuple(ip_network(network) for network in networks)
        self._is_trusted_cached = lru_cache(maxsize=1024)(self._is_trusted)

    def __bool__(self) -> bool:
        """Tell whether any proxy is trusted."""
        return bool(self._networks)

    def contains(self, peer: str | None) -> bool:
        """Tell whether *peer* is the address of a trusted proxy."""
        found = _parse_address(peer or "")
        return found is not None and self._is_trusted_cached(found)

    def find_client_address(
        self, peer: str | None, headers: Sequence[tuple[bytes, bytes]]
    ) -> str | None:
        """Return the address of the client of a request that *peer* sent with *headers*."""
        found = _parse_address(peer or "")
        if found is None or not self._is_trusted_cached(found):
            return peer
        for text in _iterate_hops(headers):
            hop = _parse_address(text)
            if hop is None:
                # A trusted proxy wrote an unreadable entry: its own address is all that is known.
                break
            found = hop
            if not self._is_trusted_cached(hop):
                break
        return str(found)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def _iterate_hops(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield the forwarded addresses, the last one first; several header lines form one list."""
    for name, value in reversed(headers):
        if name == FORWARDED_FOR:
            for hop in reversed(value.split(b",")):
                yield hop.decode("latin-1").strip()


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, with or without a port (`192.0.2.1:4711`, `[2001:db8::1]:4711`)."""
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        return found.ipv4_mapped or found
    return found


def is_network(text: str) -> bool:
    """Tell whether *text* names a network (`192.0.2.0/24`), or one address."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


ANY_HOST = "*"
PROBE_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/health/startup"})
"""Paths that are answered under any host name: probes call a process by its current address."""

_NAME = r"\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?"
_HOST = re.compile(rf"(?P<name>{_NAME})(?::(?P<port>[0-9]{{1,5}}))?")
_CACHED_HOSTS = 64


class AllowedHosts:
    """The host names under which one process answers."""

    def __init__(self, names: Sequence[str], probe_paths: AbstractSet[str] = PROBE_PATHS) -> None:
        """Allow *names*; *probe_paths* are answered under any name.

        A name allows every port, because the proxy in front of govid decides about ports. A name
        with a port (`id.example:8443`) allows that port only. `*`, or no names at all, allows any
        host.
        """
        self._probe_paths = probe_paths
        self._allows_any = not names or ANY_HOST in names
        self._names = frozenset(name.lower() for name in names)
        self._allows = lru_cache(maxsize=_CACHED_HOSTS)(self._is_allowed)

    def check(self, info: RequestInfo) -> None:
        """Check that the request is addressed to an allowed host.

        Raises:
            LimitExceeded: 400, `Host` is missing, malformed or given twice; 421, it is not allowed.
        """
        if info.path in self._probe_paths:
            return
        if info.host is None:
            raise LimitExceeded(400)
        if not self._allows(info.host):
            raise LimitExceeded(421)

    def _is_allowed(self, host: bytes) -> bool:
        found = _HOST.fullmatch(host.decode("latin-1").lower())
        if found is None:
            raise LimitExceeded(400)
        return self._allows_any or not self._names.isdisjoint((found["name"], found[0]))


def is_host(text: str) -> bool:
    """Tell whether *text* is a valid entry of the list: a name or address, with or without port."""
    return text == ANY_HOST or _HOST.fullmatch(text.lower()) is not None
