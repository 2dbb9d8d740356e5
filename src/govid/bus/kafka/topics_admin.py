"""The topics: created where they are missing, and how many partitions each had at first sight.

The order of a key rests on its partition, and its partition on the number of partitions. So that
number is remembered in the database, and the relay keeps to it when a topic gets more partitions.
An operator accepts the new number (`govid topics accept`). A Kafka that is away is no fault.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from govid.bus.contracts import Topic
from govid.bus.kafka.cleanup import start
from govid.bus.settings import BusSettings
from govid.bus.sql import read
from govid.bus.storage.errors import error_class

if TYPE_CHECKING:
    # Commands are built on this without SQLAlchemy (I13).
    from govid.bus.storage.database import Database

log = logging.getLogger(__name__)

QUERIES = read("govid.bus.kafka", "topics.sql")

INBOUND = (Topic.VERIFICATION_RESULT, Topic.DEATH_NOTIFICATION)
"""Topics that others write to as well."""

ORDERED = tuple(topic for topic in Topic if topic is not Topic.DEATH_NOTIFICATION)
"""Topics that govid publishes to. The number of partitions of all others does not matter."""

TOPIC_EXISTS = 36
"""Kafka's error code for a topic that another replica has just created."""
AUTO_CREATION_SECONDS = 2.0
REPLICAS = 3
"""On how many brokers a topic of govid's making stands, if there are so many."""


def dead_letter_topic(wire_name: str) -> str:
    """Return where records of *wire_name* go that cannot be read."""
    return f"{wire_name}.dlq"


def wanted_topics(settings: BusSettings) -> list[str]:
    """Return the names of all topics that govid needs."""
    names = [settings.wire_name(topic) for topic in Topic]
    return names + [dead_letter_topic(settings.wire_name(topic)) for topic in INBOUND]


def ordered_topics(settings: BusSettings) -> list[str]:
    """Return the names of the topics whose number of partitions matters."""
    return [settings.wire_name(topic) for topic in ORDERED]


class Topics:
    """What is known of the topics."""

    def __init__(self, settings: BusSettings, database: "Database") -> None:
        """Know nothing yet."""
        self._settings = settings
        self._database = database
        self._counts: dict[str, int] = {}
        self.present: Mapping[str, int] = {}
        """How many partitions Kafka had of each at the last look."""
        self._wanted = wanted_topics(settings)
        self._ordered = frozenset(ordered_topics(settings))
        self._looked_at = float("-inf")
        self._told: Mapping[str, tuple[int, int]] = {}
        self.known = asyncio.Event()
        """Set once the topics have been looked at."""
        self.switching: frozenset[str] = frozenset()
        """Topics whose new number of partitions is being accepted: nothing is published to them."""
        self.installation: str | None = None
        """The name that this installation's records carry; known with the topics."""
        self.created_again = 0
        """How many topics this process has created that had been there before."""

    def partitions(self, wire_name: str) -> int | None:
        """Return the remembered count of a topic that can be written to, or None.

        A topic that has fewer partitions than it had cannot take every key any more.
        """
        count = self._counts.get(wire_name)
        return count if count is not None and count <= self.present.get(wire_name, 0) else None

    @property
    def mismatches(self) -> Mapping[str, tuple[int, int]]:
        """Published topics whose count has changed: what it was at first sight, what it is."""
        return {
            name: (self._counts[name], present)
            for name, present in self.present.items()
            if name in self._ordered and self._counts.get(name, present) != present
        }

    @property
    def missing(self) -> Sequence[str]:
        """Topics that Kafka did not have at the last look, and that could not be created."""
        if not self.known.is_set():
            return ()
        return [name for name in self._wanted if name not in self.present]

    @property
    def states(self) -> Mapping[str, int]:
        """How many topics are missing, and of how many the number of partitions has changed."""
        return {"missing": len(self.missing), "changed": len(self.mismatches)}

    async def look(self, producer: AIOKafkaProducer) -> None:
        """Create what is missing, if Kafka allows it, and compare the rest with what was known."""
        if self.installation is None:
            await self._database.bus_reads.execute(QUERIES["name_installation"])
            self.installation = await self._database.bus_reads.fetchval(QUERIES["installation"])
        present = await self._present_counts(producer)
        missing = [name for name in self._wanted if name not in present]
        if missing:
            await self.reload()
            await self._create(missing, min(REPLICAS, len(producer.client.cluster.brokers())))
            for name in missing:
                await _appear(producer, name)
            present = await self._present_counts(producer)
        producer.client.set_topics(self._wanted)
        await self._remember({name: present[name] for name in self._wanted if name in present})
        self._looked_at = time.monotonic()
        self.known.set()

    async def observe(self, producer: AIOKafkaProducer) -> None:
        """Look again if it is time to, or if the metadata of *producer* says something new."""
        cluster = producer.client.cluster
        counts = {name: len(cluster.partitions_for_topic(name) or ()) for name in self._wanted}
        is_new = any(count not in {0, self.present.get(name)} for name, count in counts.items())
        if is_new or time.monotonic() - self._looked_at > self._settings.topic_look_seconds:
            await self.look(producer)

    async def reload(self) -> None:
        """Read what the database remembers; an operator may have accepted another number."""
        rows = await self._database.bus_reads.fetch(QUERIES["topics"])
        self._counts = {row["name"]: row["partitions"] for row in rows}
        self.switching = frozenset(row["name"] for row in rows if row["switching"])

    async def _remember(self, present: Mapping[str, int]) -> None:
        """Note the counts of topics that are new, and compare all with what was noted before."""
        await self._database.bus_reads.execute(
            QUERIES["remember_topics"], list(present), list(present.values())
        )
        unordered = [name for name in present if name not in self._ordered]
        await self._database.bus_reads.execute(
            QUERIES["follow_topics"], unordered, [present[name] for name in unordered]
        )
        await self.reload()
        self.present = present
        if self.mismatches != self._told:
            for name, (first, now) in self.mismatches.items():
                log.error(
                    "kafka.partitions_changed",
                    extra={"topic": name, "first_seen": first, "now": now},
                )
        self._told = self.mismatches

    async def _present_counts(self, producer: AIOKafkaProducer) -> dict[str, int]:
        cluster = await producer.client.fetch_all_metadata()
        return {name: len(cluster.partitions_for_topic(name) or ()) for name in cluster.topics()}

    async def _create(self, names: list[str], replicas: int) -> None:
        """Create topics, each with the number of partitions that it had before, if it had one."""
        counts = {name: self._counts.get(name, self._settings.topic_partitions) for name in names}
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            client_id=f"{self._settings.kafka_client_id}-topics",
            request_timeout_ms=5_000,
        )
        try:
            await start(admin)
            answer = await admin.create_topics(
                [NewTopic(name, count, replicas) for name, count in counts.items()]
            )
        except (KafkaError, OSError, TimeoutError, AttributeError) as error:
            # The in-memory cluster has no controller, which the client finds out by stumbling; it
            # makes topics when they are asked for. Refusals per topic are seen by its absence.
            level = logging.DEBUG if isinstance(error, AttributeError) else logging.INFO
            log.log(level, "kafka.topics_not_created", extra={"error_class": error_class(error)})
        else:
            for name, code, *_ in answer.topic_errors:
                self._tell_created(name, code, counts[name])
        finally:
            await admin.close()

    def _tell_created(self, name: str, code: int, partitions: int) -> None:
        if code == 0:
            is_new = name not in self._counts
            self.created_again += not is_new
            log.log(
                logging.INFO if is_new else logging.WARNING,
                "kafka.topic_created" if is_new else "kafka.topic_created_again",
                extra={"topic": name, "partitions": partitions},
            )
        elif code != TOPIC_EXISTS:
            log.error(
                "kafka.topic_not_created",
                extra={"topic": name, "error_class": error_class(for_code(code)())},
            )


async def _appear(producer: AIOKafkaProducer, name: str) -> None:
    try:
        async with asyncio.timeout(AUTO_CREATION_SECONDS):
            await producer.partitions_for(name)
    except (KafkaError, TimeoutError) as error:
        log.warning("kafka.no_topic", extra={"topic": name, "error_class": error_class(error)})
