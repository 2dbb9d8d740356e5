"""Determines the client's address behind trusted proxies.

Only `X-Forwarded-For` is read, only from a trusted proxy, and from right to left. Entries to the
left of the first untrusted address are ignored, because that address wrote them. `Forwarded`,
`X-Real-IP` and similar headers are ignored.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

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
        found = _address(peer or "")
        return found is not None and self._is_trusted_cached(found)

    def find_client_address(
        self, peer: str | None, headers: Sequence[tuple[bytes, bytes]]
    ) -> str | None:
        """Return the address of the client of a request that *peer* sent with *headers*."""
        found = _address(peer or "")
        if found is None or not self._is_trusted_cached(found):
            return peer
        for text in _hops(headers):
            hop = _address(text)
            if hop is None:
                # A trusted proxy wrote an unreadable entry: its own address is all that is known.
                break
            found = hop
            if not self._is_trusted_cached(hop):
                break
        return str(found)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def _hops(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield the forwarded addresses, the last one first; several header lines form one list."""
    for name, value in reversed(headers):
        if name == FORWARDED_FOR:
            for hop in reversed(value.split(b",")):
                yield hop.decode("latin-1").strip()


def _address(text: str) -> IPv4Address | IPv6Address | None:
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
