"""The proxy does what its faults are called."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.chaos.proxy import Proxy, Way

SECONDS = 5.0
BATCH = (
    # Base offset, length, leader epoch, magic; CRC; attributes, last offset, two times.
    bytes(8) + b"\x00\x00\x01\x00" + bytes(4) + b"\x02" + b"abcd" + bytes(6)
    + 2 * (1_795_933_577_185).to_bytes(8) + b"records"
)  # fmt: skip
SILENCE = 0.1


class ClientConnection:
    """A client's connection through the proxy, to a server that says everything again."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, words: bytes) -> None:
        self._writer.write(words)
        await self._writer.drain()

    async def receive(self, count: int) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self._reader.readexactly(count)

    async def receives_nothing(self) -> bool:
        try:
            async with asyncio.timeout(SILENCE):
                await self._reader.readexactly(1)
        except TimeoutError:
            return True
        return False


Call = Callable[[], Awaitable[ClientConnection]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """Return a proxy before a server that says everything again."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as it:
        yield it


@pytest.fixture
async def call(proxy: Proxy) -> AsyncIterator[Call]:
    """Return what opens another line."""
    writers = []

    async def open_line() -> ClientConnection:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writers.append(writer)
        return ClientConnection(reader, writer)

    yield open_line
    for writer in writers:
        writer.transport.abort()


async def test_it_passes_on_both_ways(call: Call) -> None:
    line = await call()
    await line.send(b"hello")
    assert await line.receive(5) == b"hello"


async def test_a_dropped_connection_is_reset(proxy: Proxy, call: Call) -> None:
    line = await call()
    await line.send(b"hello")
    await line.receive(5)
    proxy.drop()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await line.receive(1)


async def test_it_refuses_until_it_admits_and_keeps_its_port(proxy: Proxy, call: Call) -> None:
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await call()
    await proxy.admit()
    line = await call()
    await line.send(b"x")
    assert await line.receive(1) == b"x"
    assert proxy.port == port


async def test_it_cuts_in_the_middle_of_a_message(proxy: Proxy, call: Call) -> None:
    line = await call()
    await line.send(b"hello")
    await line.receive(5)
    proxy.cut_after(8)
    await line.send(b"12345")
    with pytest.raises(asyncio.IncompleteReadError) as ended:
        await line.receive(5)
    assert ended.value.partial == b"123"


@pytest.mark.parametrize("way", Way)
async def test_a_black_hole_holds_back_and_lets_go(proxy: Proxy, call: Call, way: Way) -> None:
    line = await call()
    await line.send(b"a")
    await line.receive(1)
    proxy.swallow(way)
    await line.send(b"b")
    assert await line.receives_nothing()
    proxy.heal()
    assert await line.receive(1) == b"b"


async def test_a_forgotten_connection_stays_silent_and_a_new_one_speaks(
    proxy: Proxy, call: Call
) -> None:
    old = await call()
    await old.send(b"a")
    await old.receive(1)
    proxy.swallow(Way.UP)
    proxy.forget()
    proxy.heal()
    await old.send(b"b")
    assert await old.receives_nothing()
    new = await call()
    await new.send(b"c")
    assert await new.receive(1) == b"c"


async def test_a_delay_delays(proxy: Proxy, call: Call) -> None:
    line = await call()
    proxy.delay_seconds = 0.1
    began = asyncio.get_running_loop().time()
    await line.send(b"a")
    await line.receive(1)
    # Once on the way there, and once on the way back.
    assert asyncio.get_running_loop().time() - began >= 0.2


@pytest.mark.parametrize("before", [b"", b"the head of an answer"])
async def test_damage_flips_one_bit_that_the_checksum_of_a_batch_covers(
    proxy: Proxy, call: Call, before: bytes
) -> None:
    line = await call()
    proxy.damage_over = 0
    await line.send(sent := before + BATCH)
    heard = await line.receive(len(sent))
    flipped = [n for n, (a, b) in enumerate(zip(sent, heard, strict=True)) if a != b]
    assert flipped == [len(before) + 34]
    assert sent[flipped[0]] ^ heard[flipped[0]] == 0x10
    assert proxy.damaged == 1


@pytest.mark.parametrize("said", [b"no batch at all", BATCH[:30], BATCH])
async def test_no_damage_to_what_holds_no_batch_or_is_not_longer_than_said(
    proxy: Proxy, call: Call, said: bytes
) -> None:
    line = await call()
    proxy.damage_over = len(BATCH)
    await line.send(said)
    assert await line.receive(len(said)) == said
    assert proxy.damaged == 0
