"""Which client network an address belongs to, and which proxies are trusted."""

import pytest

from govid.identity.rate_limits.client_networks import (
    TrustedNetworks,
    client_network,
    client_networks,
)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "none"),
        ("", "none"),
        ("testclient", "none"),
    ],
)
def test_r7_a_network_answers_for_its_addresses(address: str | None, network: str) -> None:
    assert client_network(address) == network


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.1", ("192.0.0.0/16", "192.0.2.0/24", "192.0.2.1")),
        ("::ffff:192.0.2.1", ("192.0.0.0/16", "192.0.2.0/24", "192.0.2.1")),
        (
            "2001:db8:1:2233:4455::6",
            ("2001:db8:1::/48", "2001:db8:1:2200::/56", "2001:db8:1:2233::/64"),
        ),
        ("fe80::1%eth0", ("fe80::/48", "fe80::/56", "fe80::/64")),
        (None, ("none", "none", "none")),
        ("testclient", ("none", "none", "none")),
    ],
)
def test_an_address_is_in_wider_networks(address: str | None, networks: tuple[str, ...]) -> None:
    assert client_networks(address) == networks
    assert client_networks(address)[-1] == client_network(address)


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::7", True),
        (None, False),
        ("nonsense", False),
    ],
)
def test_trusted_callers_are_those_in_their_networks(address: str | None, answer: bool) -> None:
    assert TrustedNetworks(["192.0.2.0/24", "2001:db8::/32"]).contains(address) is answer


def test_a_network_that_is_none_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="host bits"):
        TrustedNetworks(["192.0.2.1/24"])
