"""The client address of a request: never what its sender claims."""

import pytest

from govid.gateway.http.hosts import TrustedProxies, is_network
from tests.unit.gateway.http.edge_application import EdgeRecorder, build_edge, client

PEER = "192.0.2.7"
"""Where the client of `edges` calls from."""
CLAIMED = "198.51.100.66"


def headers(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"govid"), *((b"x-forwarded-for", line.encode()) for line in lines)]


@pytest.mark.parametrize(
    ("trusted", "lines", "found"),
    [
        # No proxy is trusted: the peer's address counts.
        ([], ["198.51.100.66"], "10.0.0.1"),
        (["10.9.0.0/16"], ["198.51.100.66"], "10.0.0.1"),
        # A trusted peer: the first from the right that we do not trust.
        (["10.0.0.0/24"], ["198.51.100.66"], "198.51.100.66"),
        (["10.0.0.0/24"], ["203.0.113.9, 198.51.100.66"], "198.51.100.66"),
        (["10.0.0.0/24"], ["203.0.113.9, 198.51.100.66, 10.0.0.2"], "198.51.100.66"),
        (["10.0.0.0/24"], ["203.0.113.9", "198.51.100.66", "10.0.0.2"], "198.51.100.66"),
        # All of them ours: the one that is furthest away.
        (["10.0.0.0/24"], ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # Nothing said, or nothing that can be read: what we know for sure.
        (["10.0.0.0/24"], [], "10.0.0.1"),
        (["10.0.0.0/24"], [""], "10.0.0.1"),
        (["10.0.0.0/24"], ["198.51.100.66, unknown"], "10.0.0.1"),
        (["10.0.0.0/24"], ["198.51.100.66, unknown, 10.0.0.2"], "10.0.0.2"),
        (["10.0.0.0/24"], ["198.51.100.66, " + "9" * 5000], "10.0.0.1"),
        (["10.0.0.0/24"], ["198.51.100.66\n, 198.51.100.1"], "198.51.100.1"),
        # Ports, brackets, and IPv4 in IPv6 clothes.
        (["10.0.0.0/24"], ["198.51.100.66:4711"], "198.51.100.66"),
        (["10.0.0.0/24"], ["[2001:db8::1]:4711"], "2001:db8::1"),
        (["10.0.0.0/24"], ["2001:DB8:0::1"], "2001:db8::1"),
        (["10.0.0.0/24"], ["::ffff:198.51.100.66"], "198.51.100.66"),
    ],
)
def test_r7_the_client_is_the_first_that_we_do_not_trust(
    trusted: list[str], lines: list[str], found: str
) -> None:
    assert TrustedProxies(trusted).find_client_address("10.0.0.1", headers(*lines)) == found


@pytest.mark.parametrize("peer", [None, "", "unix:/run/govid"])
def test_r7_a_peer_without_an_address_is_no_proxy(peer: str | None) -> None:
    assert TrustedProxies(["0.0.0.0/0", "::/0"]).find_client_address(peer, headers(CLAIMED)) == peer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("10.0.0.0/8", True),
        ("10.0.0.1", True),
        ("2001:db8::/32", True),
        ("10.0.0.1/8", False),
        ("10.0.0.0/33", False),
        ("proxy.example", False),
        ("*", False),
    ],
)
def test_a_network_is_a_cidr(text: str, answer: bool) -> None:
    assert is_network(text) is answer


FORGED = [
    {"X-Forwarded-For": CLAIMED},
    {"Forwarded": f"for={CLAIMED};proto=https"},
    {"X-Real-IP": CLAIMED},
    {"X-Client-IP": CLAIMED},
    {"True-Client-IP": CLAIMED},
    {"CF-Connecting-IP": CLAIMED},
    {"X-Forwarded-Host": CLAIMED, "X-Forwarded-Proto": "https"},
]


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: next(iter(forged)))
async def test_r7_no_header_changes_the_address_that_is_logged(forged: dict[str, str]) -> None:
    recorder = EdgeRecorder()
    async with client(build_edge(recorder)) as http:
        await http.get("/", headers=forged)
    assert [event.client_ip for event in recorder.activities] == [PEER, PEER]


@pytest.mark.parametrize("forged", FORGED[1:], ids=lambda forged: next(iter(forged)))
async def test_r7_not_even_from_a_proxy_but_the_one_that_counts(forged: dict[str, str]) -> None:
    recorder = EdgeRecorder()
    async with client(build_edge(recorder, proxies=[PEER])) as http:
        await http.get("/", headers={**forged, "X-Forwarded-For": "203.0.113.5"})
    assert [event.client_ip for event in recorder.activities] == ["203.0.113.5"] * 2
