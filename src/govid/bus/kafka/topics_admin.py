"""The topics: made where they are missing, and how many partitions each had at first sight.

The order of a key rests on its partition, and its partition on the number of partitions. So that
number is remembered in the database, and a topic that has another one later is a fault that keeps
the process from being ready. A Kafka that is away is no fault.
"""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from govid.bus.contracts import Topic
from govid.bus.database import Database
from govid.bus.kafka.cleanup import start
from govid.bus.kafka.sql import QUERIES
from govid.bus.settings import BusSettings
from govid.bus.storage.errors import error_class

log = logging.getLogger(__name__)

INBOUND = (Topic.VERIFICATION_RESULT, Topic.DEATH_NOTIFICATION)
"""Topics that others write to as well."""

AUTO_CREATION_SECONDS = 2.0
REPLICAS = 3
"""On how many brokers a topic of govid's making stands, if there are so many."""


def dead_letter_topic(wire_name: str) -> str:
    """Return where records of *wire_name* go that cannot be read."""
    return f"{wire_name}.dlq"


class Topics:
    """What is known of the topics."""

    def __init__(self, settings: BusSettings, database: Database) -> None:
        """Know nothing yet."""
        self._settings = settings
        self._database = database
        self._counts: dict[str, int] = {}
        self._present: dict[str, int] = {}
        self.known = asyncio.Event()
        """Set once the topics have been looked at."""

    def partitions(self, wire_name: str) -> int | None:
        """Return the remembered count of a topic that can be written to, or None.

        A topic that has fewer partitions than it had cannot take every key any more.
        """
        count = self._counts.get(wire_name)
        return count if count is not None and count <= self._present.get(wire_name, 0) else None

    @property
    def mismatches(self) -> Mapping[str, tuple[int, int]]:
        """Topics whose count has changed: what it was at first sight, what it is."""
        return {
            name: (self._counts[name], present)
            for name, present in self._present.items()
            if self._counts.get(name, present) != present
        }

    async def look(self, producer: AIOKafkaProducer) -> None:
        """Create what is missing, if Kafka allows it, and compare the rest with what was known."""
        wanted = self._wanted()
        present = await self._present_counts(producer)
        missing = [name for name in wanted if name not in present]
        if missing:
            await self._create(missing, min(REPLICAS, len(producer.client.cluster.brokers())))
            for name in missing:
                await _appear(producer, name)
            present = await self._present_counts(producer)
        self._present = {name: present[name] for name in wanted if name in present}
        producer.client.set_topics(wanted)
        rows = await self._database.bus_reads.fetch(
            QUERIES["remember_topics"], list(self._present), list(self._present.values())
        )
        self._counts = {row["name"]: row["partitions"] for row in rows}
        for name, (first, now) in self.mismatches.items():
            log.error(
                "kafka.partitions_changed", extra={"topic": name, "first_seen": first, "now": now}
            )
        self.known.set()

    async def observe(self, producer: AIOKafkaProducer) -> None:
        """Look again if the metadata that *producer* has just refreshed says something new."""
        cluster = producer.client.cluster
        counts = {name: len(cluster.partitions_for_topic(name) or ()) for name in self._wanted()}
        if any(count not in {0, self._present.get(name)} for name, count in counts.items()):
            await self.look(producer)

    def _wanted(self) -> list[str]:
        names = [self._settings.wire_name(topic) for topic in Topic]
        inbound = [self._settings.wire_name(topic) for topic in INBOUND]
        return names + [dead_letter_topic(name) for name in inbound]

    async def _present_counts(self, producer: AIOKafkaProducer) -> dict[str, int]:
        cluster = await producer.client.fetch_all_metadata()
        return {name: len(cluster.partitions_for_topic(name) or ()) for name in cluster.topics()}

    async def _create(self, names: list[str], replicas: int) -> None:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            client_id=f"{self._settings.kafka_client_id}-topics",
            request_timeout_ms=5_000,
        )
        try:
            await start(admin)
            await admin.create_topics(
                [NewTopic(name, self._settings.topic_partitions, replicas) for name in names]
            )
        except (KafkaError, OSError, TimeoutError, AttributeError) as error:
            # The in-memory cluster has no controller, which the client finds out by stumbling; it
            # makes topics when they are asked for. Refusals per topic are seen by its absence.
            level = logging.DEBUG if isinstance(error, AttributeError) else logging.INFO
            log.log(level, "kafka.topics_not_created", extra={"error_class": error_class(error)})
        finally:
            await admin.close()


async def _appear(producer: AIOKafkaProducer, name: str) -> None:
    try:
        async with asyncio.timeout(AUTO_CREATION_SECONDS):
            await producer.partitions_for(name)
    except (KafkaError, TimeoutError) as error:
        log.warning("kafka.no_topic", extra={"topic": name, "error_class": error_class(error)})
