"""Who calls, as far as an address can say."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IPV6_PREFIX = 64
"""What one customer of a provider has: a single address of it could be changed at will."""
WIDER_PREFIXES = {4: (16, 24), 6: (48, 56)}
"""Wider networks, by version of IP: one customer may have all of one, the widest first."""


def network_of(address: str | None) -> str:
    """Return the network that answers for *address*: an IPv4 address, or 64 bits of an IPv6 one.

    Whoever has no address (a socket file), or none that can be read, shares one network.
    """
    found = _parsed(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((int(found), IPV6_PREFIX), strict=False))
    return "none" if found is None else str(found)


def networks_of(address: str | None) -> tuple[str, ...]:
    """Return the networks that *address* is in: the widest first, `network_of` last.

    Callers without an address share one network on each level.
    """
    found = _parsed(address)
    if found is None:
        return (network_of(address),) * 3
    wider = (
        str(ip_network((found.packed, prefix), strict=False))
        for prefix in WIDER_PREFIXES[found.version]
    )
    return (*wider, network_of(address))


class TrustedCallers:
    """Back ends that register for many people."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Trust the callers in *networks* (CIDRs).

        Raises:
            ValueError: one of them is none.
        """
        self._networks = tuple(ip_network(network) for network in networks)

    def include(self, address: str | None) -> bool:
        """Tell whether *address* is one of theirs."""
        found = _parsed(address)
        return found is not None and any(found in network for network in self._networks)


def _parsed(address: str | None) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address or "")
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        return found.ipv4_mapped or found
    return found
