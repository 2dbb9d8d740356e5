"""A Kafka producer outside govid that publishes notices of death, some of them twice.

It connects to the broker itself, past the proxy: a record that was acknowledged is in Kafka, and
what is in Kafka has to take effect once.
"""

import asyncio
import random

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from govid.bus.events import DeathNotified, IdentifierType
from tests.chaos.consumers import MOMENT
from tests.chaos.plan import WRITING_SECONDS

NOTICES = 40
ACCOUNT_HOLDERS = 5
COMPRESSED_LINGER_MS = 400
CODECS = ("gzip", "snappy", "lz4", "zstd")
FLUSH_SECONDS = 90
"""How long Kafka may take to have it all: a killed broker has to start again, on a busy machine."""


class ExternalPublisher:
    """Publishes notices with another client library than govid's."""

    def __init__(self, address: str, topic: str, seed: int) -> None:
        """Publish to *topic* of the broker at *address* what *seed* says."""
        self.acknowledged: set[tuple[str, int]] = set()
        """The holder and the number of each notice that Kafka has."""
        self.codec = "none"
        """How batches are compressed from now on."""
        self.topic = topic
        self._dice = random.Random(f"outsider {seed}")  # noqa: S311 - chance, not secrecy
        self._address = address
        self._producer = self._make_producer(self.codec)

    def _make_producer(self, codec: str) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._address,
                "compression.type": codec,
                # Compressed batches hold several records, as those of busy senders do.
                "linger.ms": 5 if codec == "none" else COMPRESSED_LINGER_MS,
                # One after the other, again and again until Kafka has it: a notice may be
                # in Kafka twice then, as with real external producers.
                "acks": "all",
                "max.in.flight.requests.per.connection": 1,
                "log_level": 0,
                "topic.metadata.refresh.interval.ms": 1000,
                # Back as soon as the broker is: the back-off of this client is not what is tested.
                "reconnect.backoff.max.ms": 500,
            }
        )

    async def run(self) -> None:
        """Publish over the time of writing, and wait until Kafka has it all."""
        numbers, codec = dict.fromkeys(range(ACCOUNT_HOLDERS), 0), self.codec
        for _ in range(NOTICES):
            if self.codec != codec:
                # All there is first: two producers keep no order between them.
                await self._flush()
                codec = self.codec
                self._producer = self._make_producer(codec)
            holder = self._dice.randrange(ACCOUNT_HOLDERS)
            numbers[holder] += 1
            for _ in range(self._dice.choice((1, 1, 2))):
                self._publish(f"chaos {holder}", numbers[holder])
            self._producer.poll(0)
            await asyncio.sleep(WRITING_SECONDS / NOTICES)
        await self._flush()

    async def _flush(self) -> None:
        left = await asyncio.to_thread(self._producer.flush, FLUSH_SECONDS)
        if left:
            raise RuntimeError(f"Kafka did not take {left} notices of the external publisher")

    def _publish(self, holder: str, n: int) -> None:
        notice = DeathNotified(
            identifier_type=IdentifierType.NHS,
            identifier_value=holder,
            reason=str(n),
            timestamp=MOMENT,
        )

        def reported(error: KafkaError | None, _message: Message) -> None:
            if error is None:
                self.acknowledged.add((holder, n))

        self._producer.produce(
            self.topic,
            msgspec.json.encode(notice),
            key=holder,
            headers=[("ce_id", f"{holder}/{n}".encode())],
            on_delivery=reported,
        )
