"""D2: how many connections there may be, and what becomes of clients that never read."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry

from govid.gateway import connections
from govid.gateway.connection_limits import LINGERING, ConnectionLimits
from govid.gateway.settings import Settings
from tests.http.client import Client
from tests.http.serving import serving

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LARGE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
"""Its answer, more than a megabyte, does not fit into the buffers of a socket."""


class Dialler:
    """Opens connections to one server from chosen addresses, and closes them in the end."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, source: str = "127.0.0.1", limit: int = 65_536) -> Pair:
        """Connect from *source*, reading at most twice *limit* bytes ahead."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limit)
        connection.setblocking(False)
        connection.bind((source, 0))
        address = (self._address.hostname, self._address.port)
        await asyncio.get_running_loop().sock_connect(connection, address)
        reader, writer = await asyncio.open_connection(sock=connection, limit=limit)
        self._writers.append(writer)
        return reader, writer

    async def served(self, source: str = "127.0.0.1") -> Pair:
        """Return a connection on which a request was answered."""
        reader, writer = await self.open(source)
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        return reader, writer

    async def refused(self, source: str = "127.0.0.1") -> bytes:
        """Connect, send a request as every client does, and return all that comes back."""
        reader, writer = await self.open(source)
        writer.write(REQUEST)
        return await asyncio.wait_for(reader.read(), 5)

    def close(self) -> None:
        """Close what is still open."""
        for writer in self._writers:
            writer.close()


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"GOVID_MAX_CONNECTIONS": 6, "GOVID_MAX_CONNECTIONS_PER_NETWORK": 4}


@pytest.fixture
def dialler(server: str) -> Iterator[Dialler]:
    """Return a way to connect to the test's own server."""
    dialler = Dialler(server)
    yield dialler
    dialler.close()


@pytest.fixture
async def crowd(dialler: Dialler) -> list[Pair]:
    """Fill the share of one network."""
    return [await dialler.served("127.0.0.2") for _ in range(4)]


@pytest.mark.usefixtures("crowd")
async def test_d2_one_connection_too_many_of_a_network_is_a_503(dialler: Dialler) -> None:
    answer = await dialler.refused("127.0.0.2")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in answer
    assert b"\r\nconnection: close\r\n" in answer
    assert b"urn:govid:problem:unavailable" in answer


@pytest.mark.usefixtures("crowd")
async def test_d2_another_network_is_served_meanwhile(dialler: Dialler) -> None:
    await dialler.served("127.0.0.3")


@pytest.mark.usefixtures("crowd")
async def test_d2_the_total_counts_for_every_network(dialler: Dialler) -> None:
    await dialler.served("127.0.0.3")
    await dialler.served("127.0.0.4")
    assert (await dialler.refused("127.0.0.5")).startswith(b"HTTP/1.1 503 ")


async def test_d2_a_connection_that_ends_makes_room(dialler: Dialler, crowd: list[Pair]) -> None:
    reader, writer = crowd[0]
    writer.write(REQUEST[:-2] + b"Connection: close\r\n\r\n")
    await asyncio.wait_for(reader.read(), 5)
    await dialler.served("127.0.0.2")


@pytest.mark.usefixtures("crowd")
async def test_d2_more_refusals_than_may_linger_are_refusals(dialler: Dialler) -> None:
    pairs = [await dialler.open("127.0.0.2") for _ in range(LINGERING + 10)]
    answers = [await asyncio.wait_for(reader.read(), 5) for reader, _ in pairs]
    assert {answer[:13] for answer in answers} == {b"HTTP/1.1 503 "}
    await dialler.served("127.0.0.3")


class TestTrustedProxies:
    """A proxy connects for many clients."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {
            "GOVID_MAX_CONNECTIONS": 6,
            "GOVID_MAX_CONNECTIONS_PER_NETWORK": 4,
            "GOVID_TRUSTED_PROXIES": "127.0.0.2/32",
        }

    @pytest.mark.usefixtures("crowd")
    async def test_d2_a_trusted_proxy_may_take_the_whole_total(self, dialler: Dialler) -> None:
        await dialler.served("127.0.0.2")
        await dialler.served("127.0.0.2")
        assert (await dialler.refused("127.0.0.2")).startswith(b"HTTP/1.1 503 ")


class TestClientsThatNeverRead:
    """What is written for them waits; their connection does not wait for ever."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "WRITE_SECONDS", 0.4)

    @pytest.fixture
    def server(self, settings: Settings) -> Iterator[str]:
        with serving(settings, send_buffer=65_536) as url:
            yield url

    @pytest.mark.parametrize(
        "request_bytes",
        [
            pytest.param(LARGE, id="one large answer"),
            pytest.param(LARGE[:-2] + b"Connection: close\r\n\r\n", id="a last large answer"),
            pytest.param(LARGE.replace(b"1.1", b"1.0"), id="HTTP/1.0"),
            pytest.param(LARGE * 20, id="a pipeline of large answers"),
            pytest.param(REQUEST * 20_000, id="a pipeline of small answers"),
        ],
    )
    async def test_d2_a_client_that_never_reads_is_given_up(
        self, dialler: Dialler, client: Client, request_bytes: bytes
    ) -> None:
        for _ in range(4):
            _, writer = await dialler.open("127.0.0.2", limit=1)
            writer.write(request_bytes)
        async with asyncio.timeout(10):
            while await _ended(client, "write_stalled") < 4:
                await asyncio.sleep(0.05)
        await dialler.served("127.0.0.2")

    async def test_d2_a_client_that_reads_slowly_gets_all(self, dialler: Dialler) -> None:
        reader, writer = await dialler.open("127.0.0.2", limit=1)
        writer.write(LARGE[:-2] + b"Connection: close\r\n\r\n")
        received = 0
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                received += len(await reader.readexactly(32_768))
                await asyncio.sleep(0.02)
        assert received > 1_000_000

    @pytest.mark.parametrize("piece_bytes", [256, 1_024, 2_048])
    async def test_d2_a_client_that_takes_an_answer_in_drops_is_given_up(
        self,
        dialler: Dialler,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        piece_bytes: int,
    ) -> None:
        monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.3)
        reader, writer = await dialler.open("127.0.0.2", limit=1)
        writer.write(LARGE)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(10):
                while await _ended(client, "write_slow") < 1:
                    await reader.readexactly(piece_bytes)
        assert await _ended(client, "write_slow") == 1
        await dialler.served("127.0.0.2")


async def _ended(client: Client, reason: str) -> float:
    """Return how many connections ended for *reason*."""
    text = (await client.get("/metrics")).text
    wanted = f'govid_connections_ended_total{{reason="{reason}"}} '
    return sum(float(line[len(wanted) :]) for line in text.splitlines() if line.startswith(wanted))


@pytest.mark.parametrize(
    ("files", "wanted", "total"),
    [(300, 1_000, 200), (1_024, 1_000, 924), (65_536, 1_000, 1_000), (50, 1_000, 1), (-1, 7, 7)],
)
def test_d2_the_total_leaves_files_for_everything_else(
    monkeypatch: pytest.MonkeyPatch, files: int, wanted: int, total: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    limits = ConnectionLimits(CollectorRegistry(), total=wanted, per_network=1)
    assert limits.total == total


@pytest.mark.parametrize(
    ("addresses", "admitted"),
    [
        (["192.0.2.1", "192.0.2.1"], [True, False]),
        (["192.0.2.1", "192.0.2.2"], [True, True]),
        (["2001:db8::1", "2001:db8::2"], [True, False]),
        (["2001:db8:0:1::1", "2001:db8:0:2::1"], [True, True]),
        (["192.0.2.1", "::ffff:192.0.2.1"], [True, False]),
        ([None, None], [True, True]),
        (["10.0.0.1", "10.0.0.1"], [True, True]),
    ],
)
def test_d2_a_network_is_an_ipv4_address_or_64_bits_of_ipv6(
    addresses: list[str | None], admitted: list[bool]
) -> None:
    limits = ConnectionLimits(CollectorRegistry(), total=10, per_network=1, exempt=["10.0.0.0/8"])
    assert [limits.admit(address) for address in addresses] == admitted
