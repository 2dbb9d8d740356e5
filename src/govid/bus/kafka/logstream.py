"""One log topic: a list that fills, a batch every 50 ms, a few batches under way."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaProducer

from govid.bus.contracts import AccessDecided, Event, RequestFinished, RequestReceived
from govid.bus.ids import uuid7
from govid.bus.kafka import codec
from govid.bus.kafka.producer import Producer
from govid.bus.kafka.topics_admin import Topics
from govid.bus.storage.errors import error_class

PERIOD_SECONDS = 0.05
ACK_SECONDS = 1.0
FULL = 400
"""So many records are sent without waiting for the period's end."""
LIMIT = 20_000
"""How many records may wait: about 20 MB of them."""
UNDER_WAY = 4

TYPES: dict[type[Event], str] = {
    RequestReceived: "gateway.request.received",
    RequestFinished: "gateway.request.finished",
    AccessDecided: "gateway.access.decided",
}
"""Log records have types like events, but most of them never see the outbox."""

_encode = msgspec.json.Encoder().encode


class Entry(NamedTuple):
    """An event that was put into a batch, and the id that it got."""

    id: UUID
    event: Any


class LogStream:
    """Sends what is put, in no order; hands over to *unsent* what Kafka did not acknowledge."""

    def __init__(
        self,
        topic: str,
        producer: Producer,
        topics: Topics,
        unsent: Callable[[Sequence[Entry]], Awaitable[None]],
    ) -> None:
        """Send to *topic*, its name on the wire."""
        self.overflow = 0
        self._topic = topic
        self._producer = producer
        self._topics = topics
        self._unsent = unsent
        self._waiting: list[Any] = []
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._batches: set[asyncio.Task[None]] = set()
        self._finishing = False

    def put(self, event: Event) -> None:
        """Take *event*; where too many wait already, count it as lost."""
        waiting = self._waiting
        if len(waiting) >= LIMIT:
            self.overflow += 1
            return
        waiting.append(event)
        if len(waiting) == 1:
            self._some.set()
        elif len(waiting) == FULL:
            self._full.set()

    def finish(self) -> None:
        """Ask `run` to send what there is and return."""
        self._finishing = True
        self._some.set()
        self._full.set()

    async def run(self) -> None:
        """Send batches until `finish`."""
        while not self._finishing:
            await self._some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_SECONDS):
                    await self._full.wait()
            await self._flush()
        while self._waiting:
            await self._flush()
        if self._batches:
            await asyncio.wait(self._batches)

    async def _flush(self) -> None:
        while len(self._batches) >= UNDER_WAY:
            await asyncio.wait(self._batches, return_when=asyncio.FIRST_COMPLETED)
        events, self._waiting = self._waiting[:FULL], self._waiting[FULL:]
        self._full.clear()
        if len(self._waiting) >= FULL or self._finishing:
            self._full.set()
        if not self._waiting and not self._finishing:
            self._some.clear()
        if not events:
            return
        task = asyncio.create_task(self._send([Entry(uuid7(), event) for event in events]))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _send(self, entries: list[Entry]) -> None:
        producer = self._producer.current
        partitions = self._topics.partitions(self._topic)
        if producer is None or not partitions:
            await self._unsent(entries)
            return
        try:
            async with asyncio.timeout(ACK_SECONDS):
                await self._deliver(producer, entries, partitions)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is not acknowledged
            self._producer.replace(producer, error_class(error))
            await self._unsent(entries)

    async def _deliver(
        self, producer: AIOKafkaProducer, entries: list[Entry], partitions: int
    ) -> None:
        batches: list[Any] = []
        for entry in entries:
            if not batches or not _append(batches[-1], entry):
                batches.append(producer.create_batch())
                _append(batches[-1], entry)
        for batch in batches:
            batch.close()
            future = await producer.send_batch(
                batch,
                self._topic,
                partition=random.randrange(partitions),  # noqa: S311 - not a secret
            )
            await future


def _append(batch: Any, entry: Entry) -> bool:
    event = entry.event
    headers = codec.headers(
        event_id=entry.id,
        type_name=TYPES[type(event)],
        version=1,
        occurred_at=event.timestamp,
        correlation_id=event.correlation_id,
    )
    taken = batch.append(timestamp=None, key=None, value=_encode(event), headers=headers)
    return taken is not None
