"""Whose address a request came from: the peer's, unless the peer is a proxy of ours.

Only `X-Forwarded-For` is read, only from a trusted proxy, and only from the right: what stands
further left than the first address that we do not trust was written by whoever has that address.
`Forwarded`, `X-Real-IP` and the like are nobody's word.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

FORWARDED_FOR = b"x-forwarded-for"
_LONGEST = 64
"""No address is longer, not even with a port."""


class Proxies:
    """The proxies whose word counts."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Trust the proxies in *networks* (CIDRs).

        Raises:
            ValueError: one of them is none.
        """
        self._networks = tuple(ip_network(network) for network in networks)
        self._trusts = lru_cache(maxsize=1024)(self._contain)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._networks)

    def include(self, peer: str | None) -> bool:
        """Tell whether *peer* is the address of a trusted proxy."""
        found = _address(peer or "")
        return found is not None and self._trusts(found)

    def client(self, peer: str | None, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Return the client's address, where *peer* sent a request with these *headers*."""
        found = _address(peer or "")
        if found is None or not self._trusts(found):
            return peer
        for text in _hops(headers):
            hop = _address(text)
            if hop is None:
                # A proxy of ours wrote what nobody can read: it is all that we know.
                break
            found = hop
            if not self._trusts(hop):
                break
        return str(found)

    def _contain(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def _hops(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield who handed the request on, the last one first; several lines are one list."""
    for name, value in reversed(headers):
        if name == FORWARDED_FOR:
            for hop in reversed(value.split(b",")):
                yield hop.decode("latin-1").strip()


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with or without a port (`192.0.2.1:4711`, `[2001:db8::1]:4711`)."""
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
