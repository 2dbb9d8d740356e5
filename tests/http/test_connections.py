"""Connections without a valid request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from govid.gateway.http import protocol
from tests.http.client import Client
from tests.http.test_headers import SECURITY

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def patience() -> float:
    """Return how many seconds the server waits for a head."""
    return protocol.HEAD_SECONDS


@pytest.fixture
async def pair(
    shared_server: str, monkeypatch: pytest.MonkeyPatch, patience: float
) -> AsyncIterator[Pair]:
    """Return a bare connection to the server."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", patience)
    address = urlsplit(shared_server)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    yield reader, writer
    writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what the server says until it hangs up."""
    return await asyncio.wait_for(reader.read(), 3)


class TestSlowHeads:
    """A head that is not complete in time; uvicorn alone would wait for ever."""

    @pytest.fixture
    def patience(self) -> float:
        return 0.2

    async def test_a_client_that_says_nothing_is_hung_up_on(self, pair: Pair) -> None:
        assert await rest(pair[0]) == b""

    async def test_half_a_head_is_a_408(self, pair: Pair) -> None:
        reader, writer = pair
        writer.write(REQUEST[:-2])
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"urn:govid:problem:request-timeout" in answer

    async def test_a_head_drop_by_drop_gets_no_more_time(self, pair: Pair) -> None:
        reader, writer = pair
        answer = asyncio.create_task(rest(reader))
        writer.write(REQUEST[:-2])
        while not answer.done():
            writer.write(b"X-Filler: y\r\n")
            await asyncio.sleep(0.05)
        assert (await answer).startswith(b"HTTP/1.1 408 ")

    async def test_empty_lines_keep_no_connection(self, pair: Pair) -> None:
        reader, writer = pair
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\r\n")
        assert b"HTTP/1.1 408 " in await rest(reader)

    async def test_half_of_a_second_request_is_a_408_behind_the_first_answer(
        self, pair: Pair
    ) -> None:
        reader, writer = pair
        writer.write(REQUEST + REQUEST[:-2])
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 2
        assert b"HTTP/1.1 408 " in answer


async def test_a_head_without_end_is_a_431(pair: Pair) -> None:
    reader, writer = pair
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Filler: ")
    writer.write(b"x" * (protocol.HEAD_BYTES + 1))
    answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"urn:govid:problem:headers-too-large" in answer


async def test_an_address_without_end_is_refused(pair: Pair) -> None:
    reader, writer = pair
    writer.write(b"GET /" + b"x" * (protocol.HEAD_BYTES + 1))
    assert (await rest(reader)).startswith(b"HTTP/1.1 431 ")


async def test_requests_in_a_row_and_at_once_are_answered(pair: Pair) -> None:
    reader, writer = pair
    for part in (REQUEST[:10], REQUEST[10:] + REQUEST[:5], REQUEST[5:] + REQUEST):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    found = b""
    while found.count(b"HTTP/1.1 200 ") < 3:
        found += await asyncio.wait_for(reader.read(4096), 3)
    assert found.count(b"HTTP/1.1 ") == 3


async def test_what_is_no_http_is_a_400(pair: Pair, visitor: Client) -> None:
    reader, writer = pair
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert (await rest(reader)).startswith(b"HTTP/1.1 400 ")
    assert (await visitor.get("/health/live")).status_code == 200


CHUNKED = (
    b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
)
MEGABYTE = 1024 * 1024


async def flooded(pair: Pair, beginning: bytes, piece: bytes) -> bytes:
    """Send *beginning*, then *piece* for as long as the server takes it; return its answer.

    The server has to end this: it is a failure if it takes 64 MiB.
    """
    reader, writer = pair
    received = bytearray()

    async def receive() -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                received.extend(data)

    async def send() -> None:
        writer.write(beginning)
        with contextlib.suppress(ConnectionError):
            for _ in range(64 * MEGABYTE // len(piece)):
                writer.write(piece)
                await writer.drain()
            pytest.fail("the server takes all of it")

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(receive())
        group.create_task(send())
    return bytes(received)


class TestD1UnboundedGrammar:
    """Bytes that reach no handler."""

    @pytest.mark.parametrize(
        ("beginning", "piece"),
        [
            pytest.param(b"\r\n2\r\n{}\r\n0\r\n", b"X-A: b\r\n" * 4_000, id="trailers"),
            pytest.param(b"\r\n2\r\n{}\r\n0\r\nX-A: ", b"b" * 65_536, id="one trailer"),
            pytest.param(b"\r\n2\r\n{}\r\n0\r\n", b"b" * 65_536, id="a trailer's name"),
            pytest.param(b"\r\n2;", b"a=b;" * 16_000, id="chunk extensions"),
            pytest.param(b"\r\n2;a=", b"b" * 65_536, id="one chunk extension"),
            pytest.param(b'\r\n2;a="', b"b" * 65_536, id="a quoted chunk extension"),
            pytest.param(b"\r\n", b"1;a=bbbbbbbb\r\n{\r\n" * 4_000, id="tiny chunks"),
        ],
    )
    async def test_d1_what_reaches_no_handler_is_a_400_and_the_end(
        self, pair: Pair, beginning: bytes, piece: bytes
    ) -> None:
        answer = await flooded(pair, CHUNKED + beginning, piece)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"urn:govid:problem:bad-request" in answer
        assert b"connection: close" in answer

    @pytest.mark.parametrize("size", [protocol.UNREAD_BYTES - 4_000, 1_000, 10])
    async def test_d1_trailers_up_to_the_limit_are_read(self, pair: Pair, size: int) -> None:
        reader, writer = pair
        writer.write(CHUNKED + b"Connection: close\r\n\r\n2\r\n{}\r\n0\r\n")
        writer.write(b"X-A: " + b"b" * size + b"\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 422 ")

    @pytest.mark.parametrize(
        ("header", "status"),
        [
            (b"Content-Encoding: gzip\r\n", b"415"),
            (b"X-Filler: " + b"x" * 20_000 + b"\r\n", b"431"),
            (b"Host: evil.example/\r\n", b"400"),
        ],
    )
    async def test_d1_what_follows_an_early_answer_is_bounded(
        self, pair: Pair, header: bytes, status: bytes
    ) -> None:
        head = CHUNKED + header + b"Expect: 100-continue\r\n\r\n"
        answer = await flooded(pair, head, b"ffff\r\n" + b"x" * 65_535 + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.count(b"HTTP/1.1 ") == 1

    async def test_d1_a_body_that_is_read_in_tiny_chunks_is_answered(self, pair: Pair) -> None:
        reader, writer = pair
        writer.write(CHUNKED + b"Connection: close\r\n\r\n" + b"1\r\n \r\n" * 8_000)
        writer.write(b"2\r\n{}\r\n0\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 422 ")

    async def test_d1_a_compressed_body_of_a_megabyte_gets_its_answer(
        self, visitor: Client
    ) -> None:
        body = b"x" * MEGABYTE
        answer = await visitor.post_raw("/api/auth/login", body, **{"content-encoding": "gzip"})
        assert answer.status_code == 415
        assert "connection" not in answer.headers


class TestOffers:
    """An offer to speak another protocol, as Java's client makes it, is ignored."""

    OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n"

    async def test_f2_requests_with_and_behind_an_offer_are_answered(self, pair: Pair) -> None:
        reader, writer = pair
        last = REQUEST[:-2] + b"Connection: close\r\n\r\n"
        writer.write(REQUEST[:-2] + self.OFFER + b"\r\n" + last)
        answer = await rest(reader)
        assert answer.count(b"HTTP/1.1 200 ") == 2

    @pytest.mark.parametrize(
        "framing",
        [
            b"Content-Length: 2\r\n\r\n{}",
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        ],
    )
    @pytest.mark.parametrize("cut", [40, 150, 210, -1])
    async def test_f2_a_body_behind_an_offer_is_read(
        self, pair: Pair, framing: bytes, cut: int
    ) -> None:
        reader, writer = pair
        head = CHUNKED.replace(b"Transfer-Encoding: chunked\r\n", b"") + self.OFFER
        request = head + framing + REQUEST[:-2] + b"Connection: close\r\n\r\n"
        writer.write(request[:cut])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(request[cut:])
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 422 ")
        assert b'"loc":["body","email"]' in answer
        assert answer.count(b"HTTP/1.1 200 ") == 1


class TestD5OldProtocol:
    """HTTP/1.0 has no chunks (RFC 9112, section 6.1)."""

    @pytest.mark.parametrize(
        "headers",
        [
            b"Transfer-Encoding: chunked\r\n",
            b"transfer-encoding: Chunked\r\nContent-Length: 12\r\n",
            b"Transfer-Encoding: identity\r\n",
            b"Connection: keep-alive\r\nTransfer-Encoding: gzip, chunked\r\n",
        ],
    )
    async def test_d5_chunks_in_http_1_0_are_a_400(self, pair: Pair, headers: bytes) -> None:
        reader, writer = pair
        writer.write(
            b"POST /api/auth/login HTTP/1.0\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\n" + headers + b"\r\n2\r\n{}\r\n0\r\n\r\n" + REQUEST
        )
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"urn:govid:problem:bad-request" in answer

    async def test_d5_http_1_0_with_a_length_is_served(self, pair: Pair) -> None:
        reader, writer = pair
        writer.write(
            b"POST /api/auth/login HTTP/1.0\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        assert (await rest(reader)).startswith(b"HTTP/1.1 422 ")


class TestPipelines:
    """Requests that wait for the one before."""

    async def test_d2_a_long_pipeline_is_answered_in_order(self, pair: Pair) -> None:
        reader, writer = pair
        asked = range(300)
        writer.write(b"".join(_numbered(number) for number in asked) + _numbered(300, last=True))
        answered = [
            int(line.split(b"-")[-1])
            for line in (await asyncio.wait_for(reader.read(), 10)).split(b"\r\n")
            if line.startswith(b"x-correlation-id")
        ]
        assert answered == [*asked, 300]

    @pytest.mark.parametrize("wrong", [b"\x16\x03\x01", b"FOO BAR\r\n\r\n", b"GET /\x00"])
    async def test_d2_what_is_whole_is_answered_before_what_is_wrong(
        self, pair: Pair, wrong: bytes
    ) -> None:
        reader, writer = pair
        writer.write(REQUEST + wrong)
        assert statuses(await rest(reader)) == [200, 400]


BAD_HEADS = [
    pytest.param(b"GET http:// HTTP/1.1\r\n", id="no host"),
    pytest.param(b"GET http://[::1 HTTP/1.1\r\n", id="half an IPv6 address"),
    pytest.param(b"GET http://127.0.0.1:99999999/ HTTP/1.1\r\n", id="port out of range"),
    pytest.param(b"GET http:///health/live HTTP/1.1\r\n", id="empty host"),
    pytest.param(b"GET http://127.0.0.1 HTTP/1.1\r\n", id="no path"),
    pytest.param(b"GET /\xff HTTP/1.1\r\n", id="no ASCII"),
    pytest.param(b"GET http:// HTTP/1.1\r\n" + TestOffers.OFFER, id="no host, with an offer"),
    pytest.param(b"GET /\xff HTTP/1.1\r\n" + TestOffers.OFFER, id="no ASCII, with an offer"),
    pytest.param(b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n", id="CONNECT"),
    pytest.param(b"CONNECT http://127.0.0.1/health HTTP/1.1\r\n", id="CONNECT with a path"),
]


class TestBadTargets:
    """Heads whose target names nothing that could be asked for."""

    ENDS = b"Host: 127.0.0.1\r\n\r\n"
    BODY = b'{"email":"unknown.person@example.com","password":"correct horse battery"}'
    SIGN_IN = (
        b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    )
    """Its answer takes as long as a password hash."""

    @pytest.mark.parametrize("head", BAD_HEADS)
    async def test_w7_a_bad_target_is_a_400(
        self, pair: Pair, caplog: pytest.LogCaptureFixture, head: bytes
    ) -> None:
        reader, writer = pair
        writer.write(head + self.ENDS + REQUEST)
        answer = await rest(reader)
        assert statuses(answer) == [400]
        assert b"urn:govid:problem:bad-request" in answer
        assert errors(caplog) == []

    @pytest.mark.parametrize("earlier", [1, 3, 40])
    @pytest.mark.parametrize("head", BAD_HEADS)
    async def test_w7_requests_of_the_same_packet_keep_their_answers(
        self, pair: Pair, caplog: pytest.LogCaptureFixture, head: bytes, earlier: int
    ) -> None:
        reader, writer = pair
        writer.write(REQUEST * earlier + head + self.ENDS + REQUEST)
        assert statuses(await rest(reader)) == [200] * earlier + [400]
        assert errors(caplog) == []

    @pytest.mark.parametrize("head", BAD_HEADS)
    async def test_w7_a_request_under_way_keeps_its_answer(
        self, pair: Pair, caplog: pytest.LogCaptureFixture, head: bytes
    ) -> None:
        reader, writer = pair
        writer.write(self.SIGN_IN)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(self.BODY)
        await writer.drain()
        writer.write(head + self.ENDS + REQUEST)
        assert statuses(await rest(reader)) == [401, 400]
        assert errors(caplog) == []


class TestStandingHeaders:
    """Answers that no application gives have the headers of all others."""

    @pytest.fixture
    def patience(self) -> float:
        return 0.3

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"\x16\x03\x01", 400),
            (b"GET http:// HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n", 408),
            (b"GET /" + b"x" * (protocol.HEAD_BYTES + 1), 431),
        ],
    )
    async def test_w10_answers_of_the_connection_have_the_security_headers(
        self, pair: Pair, sent: bytes, status: int
    ) -> None:
        reader, writer = pair
        writer.write(sent)
        answer = await rest(reader)
        assert statuses(answer) == [status]
        assert {name: header(answer, name) for name in SECURITY} == SECURITY


class TestStandingHeadersUnderHttps:
    """A public URL with https."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_PUBLIC_URL": "https://id.example"}

    @pytest.mark.parametrize("sent", [b"\x16\x03\x01", b"GET http:// HTTP/1.1\r\n\r\n", b"FOO\r\n"])
    async def test_w10_answers_of_the_connection_have_hsts(self, server: str, sent: bytes) -> None:
        address = urlsplit(server)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(sent)
        answer = await rest(reader)
        writer.close()
        assert statuses(answer) == [400]
        assert header(answer, "strict-transport-security") == "max-age=31536000; includeSubDomains"


def statuses(answers: bytes) -> list[int]:
    """Return the statuses of *answers*, whose bodies hold no status line."""
    return [int(one[:3]) for one in answers.split(b"HTTP/1.1 ")[1:]]


def header(answer: bytes, name: str) -> str:
    """Return the value of the header *name* in *answer*."""
    prefix = f"{name}: ".encode()
    lines = answer.split(b"\r\n\r\n")[0].split(b"\r\n")
    return next(line[len(prefix) :].decode() for line in lines if line.startswith(prefix))


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as an error, without the Kafka clients, which find no broker here."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelname == "ERROR" and not record.name.startswith("aiokafka")
    ]


def _numbered(number: int, *, last: bool = False) -> bytes:
    """Return a request that *number* distinguishes from others."""
    end = b"Connection: close\r\n" if last else b""
    return REQUEST[:-2] + b"X-Correlation-ID: n-%d\r\n" % number + end + b"\r\n"
