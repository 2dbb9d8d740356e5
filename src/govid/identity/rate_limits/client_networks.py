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
    parsed = _parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed), IPV6_PREFIX), strict=False))
    return "none" if parsed is None else str(parsed)


def client_networks(address: str | None) -> tuple[str, ...]:
    """Return the networks that contain *address*, the widest first, `client_network` last.

    Clients without an address share one network on each level.
    """
    parsed = _parse_address(address)
    if parsed is None:
        return (client_network(address),) * 3
    wider = (
        str(ip_network((parsed.packed, prefix), strict=False))
        for prefix in WIDER_PREFIXES[parsed.version]
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
        parsed = _parse_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _parse_address(address: str | None) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or parsed
    return parsed
