"""D2: how many connections there may be, and what happens to clients that never read."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry

from govid.gateway.http import protocol
from govid.gateway.http.connection_limits import MAX_LINGERING, ConnectionLimits
from govid.gateway.settings import Settings
from tests.http.client import Client
from tests.http.serving import serving
from tests.http.test_connections import header
from tests.http.test_headers import SECURITY

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HALF_HEAD = b"GET /health/live HTTP/1.1\r\n"
HALF_BODY = (
    b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"
    b"Content-Type: application/json\r\n"
)
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


async def test_d2_the_total_counts_for_every_network(dialler: Dialler) -> None:
    for number in range(2, 8):
        await dialler.served(f"127.0.0.{number}")
    assert (await dialler.refused("127.0.0.8")).startswith(b"HTTP/1.1 503 ")


async def test_d2_a_connection_that_ends_frees_capacity(
    dialler: Dialler, crowd: list[Pair]
) -> None:
    reader, writer = crowd[0]
    writer.write(REQUEST[:-2] + b"Connection: close\r\n\r\n")
    await asyncio.wait_for(reader.read(), 5)
    await dialler.served("127.0.0.2")


@pytest.mark.usefixtures("crowd")
async def test_d2_more_refusals_than_may_linger_are_refusals(dialler: Dialler) -> None:
    pairs = [await dialler.open("127.0.0.2") for _ in range(MAX_LINGERING + 10)]
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


class TestEvictions:
    """Five addresses that hold every slot do not keep the others away."""

    CROWD = tuple(f"127.0.0.{number}" for number in range(2, 7))

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_MAX_CONNECTIONS": 10, "GOVID_MAX_CONNECTIONS_PER_NETWORK": 4}

    @pytest.fixture
    def server(self, settings: Settings) -> Iterator[str]:
        with serving(settings, send_buffer=65_536) as url:
            yield url

    @pytest.fixture
    async def held(
        self, dialler: Dialler, sent: bytes, answered: bytes
    ) -> AsyncIterator[list[Pair]]:
        """Take all slots, two for each address; await *answered* on each connection."""
        pairs = [await dialler.open(source, limit=4_096) for source in self.CROWD * 2]
        for reader, writer in pairs:
            writer.write(sent)
            await asyncio.wait_for(_read_until(reader, answered), 5)
        yield pairs
        # What is not read yet would be waited for at the end of the server.
        for _, writer in pairs:
            writer.transport.abort()
            await writer.wait_closed()

    WAITING = pytest.mark.parametrize(
        ("sent", "answered"),
        [
            pytest.param(b"", b"", id="silent"),
            pytest.param(HALF_HEAD, b"", id="half a head"),
            pytest.param(REQUEST, b"}", id="idle after an answer"),
            pytest.param(REQUEST + HALF_HEAD, b"}", id="half a second head"),
            pytest.param(
                HALF_BODY + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n{}",
                b"}",
                id="answered before its body",
            ),
        ],
    )
    SERVING = pytest.mark.parametrize(
        ("sent", "answered"),
        [
            pytest.param(HALF_BODY + b"Content-Length: 9\r\n\r\n{}", b"\r\n\r\n", id="body"),
            pytest.param(
                HALF_BODY + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}", b"\r\n\r\n", id="chunks"
            ),
            pytest.param(REQUEST + HALF_BODY + b"Content-Length: 9\r\n\r\n", b"}", id="second"),
            pytest.param(LARGE, b"\r\n\r\n", id="an answer that is not read yet"),
        ],
    )

    @WAITING
    @pytest.mark.usefixtures("held")
    async def test_w3_a_probe_is_answered_when_all_slots_wait(self, client: Client) -> None:
        assert (await client.get("/health/live")).status_code == 200
        assert await _ended(client, "evicted") == 1
        assert await _ended(client, "too_many") == 0
        assert await _metric(client, "govid_connections") == 10

    @WAITING
    async def test_w3_the_longest_waiting_connection_is_evicted(
        self, dialler: Dialler, held: list[Pair], sent: bytes
    ) -> None:
        await dialler.served("127.0.0.1")
        rest = await asyncio.wait_for(held[0][0].read(), 5)
        assert (b"HTTP/1.1 503 " in rest) == sent.endswith(HALF_HEAD)
        assert [reader.at_eof() for reader, _ in held] == [True] + [False] * 9

    @SERVING
    @pytest.mark.usefixtures("held")
    async def test_w3_a_connection_that_serves_a_request_is_never_evicted(
        self, dialler: Dialler
    ) -> None:
        answer = await dialler.refused("127.0.0.1")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert {name: header(answer, name) for name in SECURITY} == SECURITY

    @pytest.mark.parametrize(("sent", "answered"), [(REQUEST, b"}")])
    async def test_w3_an_evicted_client_is_served_by_its_next_connection(
        self, dialler: Dialler, held: list[Pair]
    ) -> None:
        served = [await dialler.served(f"127.0.0.{number}") for number in range(11, 16)]
        for (reader, _), (_, writer) in zip(held[:5], served, strict=True):
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        for source in self.CROWD:
            await dialler.served(source)

    async def test_w3_newcomers_in_great_number_do_not_keep_a_probe_away(
        self, dialler: Dialler, client: Client
    ) -> None:
        probes = []
        for _ in range(20):
            for source in self.CROWD:
                await dialler.open(source)
            probes.append(await client.http.get("/health/live", headers={"connection": "close"}))
        assert [probe.status_code for probe in probes] == [200] * 20


class TestClientsThatNeverRead:
    """What is written for them waits; their connection does not wait for ever."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.4)

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

    @pytest.mark.parametrize(
        "wrong",
        [
            b"GET http:// HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            b"CONNECT a:443 HTTP/1.1\r\n\r\n",
            b"FOO BAR\r\n\r\n",
        ],
    )
    async def test_w7_an_answer_is_not_cut_by_the_refusal_behind_it(
        self, dialler: Dialler, monkeypatch: pytest.MonkeyPatch, wrong: bytes
    ) -> None:
        monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.05)
        reader, writer = await dialler.open("127.0.0.2", limit=1)
        writer.write(LARGE + wrong)
        received = bytearray()
        with pytest.raises(asyncio.IncompleteReadError) as end:
            while True:
                received += await asyncio.wait_for(reader.readexactly(32_768), 5)
                await asyncio.sleep(0.02)
        received += end.value.partial
        assert len(received) > 1_000_000
        assert received.count(b"HTTP/1.1 400 ") == 1
        assert received.endswith(b'"instance":"/"}')

    @pytest.mark.parametrize("piece_bytes", [256, 1_024, 2_048])
    async def test_d2_a_client_that_takes_an_answer_in_drops_is_given_up(
        self,
        dialler: Dialler,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        piece_bytes: int,
    ) -> None:
        monkeypatch.setattr(protocol, "RESPONSE_SECONDS", 0.3)
        reader, writer = await dialler.open("127.0.0.2", limit=1)
        writer.write(LARGE)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(10):
                while await _ended(client, "write_slow") < 1:
                    await reader.readexactly(piece_bytes)
        assert await _ended(client, "write_slow") == 1
        await dialler.served("127.0.0.2")


async def _read_until(reader: asyncio.StreamReader, last: bytes) -> None:
    """Read until *last*, which is empty if nothing is answered."""
    received = b""
    while last not in received:
        received += await reader.readexactly(1)


async def _ended(client: Client, reason: str) -> float:
    """Return how many connections ended for *reason*."""
    return await _metric(client, f'govid_connections_ended_total{{reason="{reason}"}}')


async def _metric(client: Client, sample: str) -> float:
    """Return the value of *sample*, a name with its labels."""
    text = (await client.get("/metrics")).text
    wanted = f"{sample} "
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
    slots = [limits.acquire_slot(address, _never) for address in addresses]
    assert [slot is not None for slot in slots] == admitted


A, B, C, D = (f"192.0.2.{number}" for number in range(4))
PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("held", "newcomer", "evicted"),
    [
        pytest.param([A, A, B, B, B, C], D, [2], id="the fullest network"),
        pytest.param([A, A, B, B, C, C], D, [0], id="one of the fullest"),
        pytest.param([A, A, A, B, B, B], A, [], id="of the fullest itself"),
        pytest.param([A, A, A, A, B, B], B, [0], id="less than the fullest by two"),
        pytest.param([A, A, A, B, B, C], B, [], id="as many as the fullest"),
        pytest.param([A, A, A, B, C, D], D, [0], id="a second one"),
        pytest.param([A, B, C, D, PROXY, PROXY], "192.0.2.9", [], id="one for each"),
        pytest.param([PROXY] * 6, A, [], id="proxies are never evicted"),
        pytest.param([A, A, PROXY, PROXY, PROXY, PROXY], PROXY, [0], id="for a proxy"),
        pytest.param([A, A, None, None, None, None], None, [0], id="for a socket file"),
        pytest.param(["2001:db8::1", "2001:db8::2", A, B, C, D], "2001:db8:0:1::1", [0], id="IPv6"),
    ],
)
def test_w3_the_fullest_network_loses_a_slot_to_one_that_holds_less(
    held: list[str | None], newcomer: str | None, evicted: list[int]
) -> None:
    limits = ConnectionLimits(CollectorRegistry(), total=6, per_network=9, exempt=["10.0.0.0/8"])
    found: list[int] = []
    for number, address in enumerate(held):
        assert limits.acquire_slot(address, partial(found.append, number)) is not None
    assert (limits.acquire_slot(newcomer, _never) is not None) == bool(evicted)
    assert found == evicted


@pytest.mark.parametrize(
    ("serving", "waiting_again", "evicted"),
    [
        ([], [], 0),
        ([0], [], 1),
        ([0, 1], [], 2),
        ([0, 1, 2], [], None),
        ([0, 1, 2, 3], [3], None),
        ([0, 1], [1], 2),
        ([0, 1, 2], [0], 0),
        ([0, 1, 2], [2, 1, 0], 2),
        ([0, 0, 1], [0, 0], 2),
    ],
)
def test_w3_the_longest_waiting_slot_of_a_network_is_the_one(
    serving: list[int], waiting_again: list[int], evicted: int | None
) -> None:
    limits = ConnectionLimits(CollectorRegistry(), total=4, per_network=3)
    found: list[int] = []
    slots = [
        slot
        for number, address in enumerate([A, A, A, B])
        if (slot := limits.acquire_slot(address, partial(found.append, number)))
    ]
    for number in serving:
        limits.mark_serving(slots[number])
    for number in waiting_again:
        limits.mark_waiting(slots[number])
    limits.acquire_slot(C, _never)
    assert found == ([] if evicted is None else [evicted])


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 3, 1, 4, 2, 0], [3, 4, 5, 0, 1, 2]])
def test_w3_released_slots_leave_nothing_behind(order: list[int]) -> None:
    limits = ConnectionLimits(CollectorRegistry(), total=6, per_network=6)
    for _ in range(3):
        slots = [limits.acquire_slot(address, _never) for address in (A, A, A, B, B, C)]
        for number in order:
            slot = slots[number]
            assert slot is not None
            limits.release_slot(slot)
    assert [limits.acquire_slot(A, _never) is not None for _ in range(7)] == [True] * 6 + [False]


def _never() -> None:
    pytest.fail("a connection was evicted")
