"""A cancelled start leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from govid.bus.kafka.client_lifecycle import start_client, stop_client

DEADLINE_SECONDS = 10
CHUNK_BYTES = 65_536


class UnresponsiveBroker:
    """A proxy of a broker that answers the first request of a connection, and no other."""

    def __init__(self, broker: str) -> None:
        self._host, _, self._port = broker.partition(":")
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1")
        async with server:
            yield "{}:{}".format(*server.sockets[0].getsockname())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, broker = await asyncio.open_connection(self._host, int(self._port))
        broker.write(await reader.read(CHUNK_BYTES))
        writer.write(await answers.read(CHUNK_BYTES))
        await reader.read(1)
        self.asked.set()
        with suppress(OSError):
            await reader.read()
        for end in (broker, writer):
            end.close()
            await end.wait_closed()
        self.left.set()


@pytest.mark.parametrize("kind", [AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaAdminClient])
async def test_a_cancelled_start_leaves_no_connection(
    kind: type[AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient], mock_cluster: str
) -> None:
    broker = UnresponsiveBroker(mock_cluster)
    async with asyncio.timeout(DEADLINE_SECONDS), broker.listen() as address:
        part = kind(bootstrap_servers=address)
        starting = asyncio.create_task(start_client(part))
        await broker.asked.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await broker.left.wait()
        await end(part)


async def end(part: AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient) -> None:
    await (part.close() if isinstance(part, AIOKafkaAdminClient) else part.stop())


async def test_c1_a_stop_raises_no_cancellation_that_no_one_asked_for(mock_cluster: str) -> None:
    # aiokafka awaits a fetch that it has cancelled: with the stop, its caller would be cancelled.
    consumer = AIOKafkaConsumer(bootstrap_servers=mock_cluster)
    await start_client(consumer)
    fetch = asyncio.create_task(asyncio.Event().wait())
    consumer._fetcher._pending_tasks.add(fetch)
    await stop_client(consumer)
    assert fetch.cancelled()


async def test_c1_a_start_that_aiokafka_cancels_is_an_outage(
    mock_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(_: AIOKafkaConsumer) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(AIOKafkaConsumer, "start", cancelled)
    consumer = AIOKafkaConsumer(bootstrap_servers=mock_cluster)
    with pytest.raises(KafkaConnectionError):
        await start_client(consumer)
    await end(consumer)
