"""Maps client addresses to the networks by which clients are counted."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IPV6_PREFIX = 64
"""The prefix that a provider assigns to one customer, who can change the address within it."""
WIDER_PREFIXES = {4: (16, 24), 6: (48, 56)}
"""Prefixes of wider networks by IP version, the widest first; one customer may hold all of one."""


def client_network(address: str | None) -> str:
    """Return the network of *address*: the IPv4 address itself, or the /64 of an IPv6 address.

    Clients without an address (Unix socket) or with an unreadable one share one network.
    """
    found = _parse_address(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((int(found), IPV6_PREFIX), strict=False))
    return "none" if found is None else str(found)


def client_networks(address: str | None) -> tuple[str, ...]:
    """Return the networks that contain *address*, the widest first, `client_network` last.

    Clients without an address share one network on each level.
    """
    found = _parse_address(address)
    if found is None:
        return (client_network(address),) * 3
    wider = (
        str(ip_network((found.packed, prefix), strict=False))
        for prefix in WIDER_PREFIXES[found.version]
    )
    return (*wider, client_network(address))


class TrustedNetworks:
    """Networks of trusted clients, such as back ends that register many people."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Trust the clients in *networks* (CIDR notation).

        Raises:
            ValueError: an entry is not a network.
        """
        self._networks = tuple(ip_network(network) for network in networks)

    def contains(self, address: str | None) -> bool:
        """Tell whether *address* is in a trusted network."""
        found = _parse_address(address)
        return found is not None and any(found in network for network in self._networks)


def _parse_address(address: str | None) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address or "")
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        return found.ipv4_mapped or found
    return found
