"""Creates missing topics, and checks the number of partitions of each against the database.

The order of a key depends on its partition, and the partition on the number of partitions. So the
first number is stored in the database, and the relay keeps using it when a topic gets more
partitions, until an operator accepts the new number (`govid topics accept`). An unavailable Kafka
is not an error.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, for_code

from govid.bus.events import Topic
from govid.bus.kafka.client_lifecycle import CLIENT_ERRORS, start_client
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.settings import BusSettings
from govid.bus.storage.errors import error_class_name
from govid.bus.storage.sql import load_statements

if TYPE_CHECKING:
    # Commands are built on this without SQLAlchemy (I13).
    from govid.bus.storage.database import Database

log = logging.getLogger(__name__)

QUERIES = load_statements("govid.bus.kafka", "topics.sql")

INBOUND_TOPICS = (Topic.VERIFICATION_RESULT, Topic.DEATH_NOTIFICATION)
"""Topics that other systems write to as well."""

ORDERED_TOPICS = tuple(topic for topic in Topic if topic is not Topic.DEATH_NOTIFICATION)
"""Topics that govid publishes to. The number of partitions of all others does not matter."""

TOPIC_EXISTS = 36
"""Kafka's error code for a topic that another replica has just created."""
AUTO_CREATION_SECONDS = 2.0
REPLICATION_FACTOR = 3
"""Replication factor of topics that govid creates, if there are as many brokers."""
MIN_INSYNC_REPLICAS = 2
"""Replicas that have to store a record of such a topic: one broker may fail without a loss."""


def dead_letter_topic(wire_name: str) -> str:
    """Return the name of the dead-letter topic for unprocessable records of *wire_name*."""
    return f"{wire_name}.dlq"


def required_topics(settings: BusSettings) -> list[str]:
    """Return the names of all topics that govid needs."""
    names = [settings.wire_name(topic) for topic in Topic]
    return names + [dead_letter_topic(settings.wire_name(topic)) for topic in INBOUND_TOPICS]


def ordered_topics(settings: BusSettings) -> list[str]:
    """Return the names of the topics that have an order.

    Their number of partitions determines the partition of a key, so it must not change.
    """
    return [settings.wire_name(topic) for topic in ORDERED_TOPICS]


class TopicRegistry:
    """The topics as Kafka has them and as the database stores them."""

    def __init__(
        self, settings: BusSettings, clients: KafkaClientFactory, database: "Database"
    ) -> None:
        """Start without knowledge; `check_topics` fetches it."""
        self._settings = settings
        self._clients = clients
        self._database = database
        self._counts: dict[str, int] = {}
        self.present_counts: Mapping[str, int] = {}
        """Number of partitions by topic in Kafka at the last check."""
        self._required = required_topics(settings)
        self._ordered = frozenset(ordered_topics(settings))
        self._checked_at = float("-inf")
        self._logged_mismatches: Mapping[str, tuple[int, int]] = {}
        self.is_checked = asyncio.Event()
        """Set once the topics have been checked."""
        self.switching_topics: frozenset[str] = frozenset()
        """Topics whose new number of partitions is being accepted; publishing to them is paused."""
        self.installation: str | None = None
        """The installation id in the headers of published records; None before the first check."""
        self.recreated_count = 0
        """Number of topics that this process has created again after they had existed."""

    def partition_count(self, wire_name: str) -> int | None:
        """Return the stored number of partitions of a topic, or None if it cannot be written to.

        A topic with fewer partitions than stored cannot take every key.
        """
        count = self._counts.get(wire_name)
        return (
            count if count is not None and count <= self.present_counts.get(wire_name, 0) else None
        )

    @property
    def mismatches(self) -> Mapping[str, tuple[int, int]]:
        """Published topics whose number of partitions changed: stored number, current number."""
        return {
            name: (self._counts[name], present)
            for name, present in self.present_counts.items()
            if name in self._ordered and self._counts.get(name, present) != present
        }

    @property
    def missing(self) -> Sequence[str]:
        """Topics that were missing at the last check and could not be created."""
        if not self.is_checked.is_set():
            return ()
        return [name for name in self._required if name not in self.present_counts]

    @property
    def count_states(self) -> Mapping[str, int]:
        """Number of missing topics, and of topics whose number of partitions has changed."""
        return {"missing": len(self.missing), "changed": len(self.mismatches)}

    @property
    def states(self) -> Mapping[str, str]:
        """State of each topic: "ok", "changed", "missing", or "unchecked" before a check."""
        first = "ok" if self.is_checked.is_set() else "unchecked"
        return {
            **dict.fromkeys(self._required, first),
            **dict.fromkeys(self.missing, "missing"),
            **dict.fromkeys(self.mismatches, "changed"),
        }

    async def check_topics(self, producer: AIOKafkaProducer) -> None:
        """Create missing topics, if Kafka allows it, and compare the others with the database."""
        if self.installation is None:
            await self._database.bus_reads.execute(QUERIES["name_installation"])
            self.installation = await self._database.bus_reads.fetchval(QUERIES["installation"])
        present = await self._fetch_counts(producer)
        missing = [name for name in self._required if name not in present]
        if missing:
            await self.reload_stored()
            await self._create_topics(missing, len(producer.client.cluster.brokers()))
            # Together: there may be many that govid may not create, and others can be used.
            await asyncio.gather(*(_wait_until_visible(producer, name) for name in missing))
            present = await self._fetch_counts(producer)
        producer.client.set_topics(self._required)
        await self._store_counts(
            {name: present[name] for name in self._required if name in present}
        )
        self._checked_at = time.monotonic()
        self.is_checked.set()

    async def check_if_due(self, producer: AIOKafkaProducer) -> None:
        """Check again if it is due, or if the metadata of *producer* has changed."""
        cluster = producer.client.cluster
        counts = {name: len(cluster.partitions_for_topic(name) or ()) for name in self._required}
        is_new = any(
            count not in {0, self.present_counts.get(name)} for name, count in counts.items()
        )
        if is_new or time.monotonic() - self._checked_at > self._settings.topic_check_seconds:
            await self.check_topics(producer)

    async def reload_stored(self) -> None:
        """Read the stored numbers again; an operator may have accepted a new one."""
        rows = await self._database.bus_reads.fetch(QUERIES["topics"])
        self._counts = {row["name"]: row["partitions"] for row in rows}
        self.switching_topics = frozenset(row["name"] for row in rows if row["switching"])

    async def _store_counts(self, present: Mapping[str, int]) -> None:
        """Store the numbers of new topics, and compare all with the stored ones."""
        await self._database.bus_reads.execute(
            QUERIES["store_topics"], list(present), list(present.values())
        )
        unordered = [name for name in present if name not in self._ordered]
        await self._database.bus_reads.execute(
            QUERIES["update_topics"], unordered, [present[name] for name in unordered]
        )
        await self.reload_stored()
        self.present_counts = present
        if self.mismatches != self._logged_mismatches:
            for name, (first, now) in self.mismatches.items():
                log.error(
                    "kafka.partitions_changed",
                    extra={"topic": name, "first_seen": first, "now": now},
                )
        self._logged_mismatches = self.mismatches

    async def _fetch_counts(self, producer: AIOKafkaProducer) -> dict[str, int]:
        cluster = await producer.client.fetch_all_metadata()
        return {name: len(cluster.partitions_for_topic(name) or ()) for name in cluster.topics()}

    async def _create_topics(self, names: list[str], brokers: int) -> None:
        """Create topics, each with its stored number of partitions, if there is one."""
        replicas, configuration = self._plan_replication(brokers)
        counts = {name: self._counts.get(name, self._settings.topic_partitions) for name in names}
        admin = self._clients.create_admin(
            client_id=f"{self._settings.kafka_client_id}-topics",
            request_timeout_ms=5_000,
        )
        try:
            await start_client(admin)
            answer = await admin.create_topics(
                [
                    NewTopic(name, count, replicas, topic_configs=configuration)
                    for name, count in counts.items()
                ]
            )
        except (*CLIENT_ERRORS, AttributeError) as error:
            # The in-memory cluster has no controller, and the client raises AttributeError; that
            # cluster creates topics on first use. A refused topic is noticed by its absence.
            level = logging.DEBUG if isinstance(error, AttributeError) else logging.INFO
            log.log(
                level, "kafka.topics_not_created", extra={"error_class": error_class_name(error)}
            )
        else:
            for name, code, *_ in answer.topic_errors:
                self._log_creation(name, code, counts[name])
        finally:
            await admin.close()

    def _plan_replication(self, brokers: int) -> tuple[int, dict[str, str]]:
        """Return the replicas of new topics, and their settings that protect records."""
        settings = self._settings
        replicas = settings.replication_factor or min(REPLICATION_FACTOR, brokers)
        in_sync = settings.min_insync_replicas
        if in_sync is None and replicas >= REPLICATION_FACTOR:
            in_sync = MIN_INSYNC_REPLICAS
        return replicas, {} if in_sync is None else {"min.insync.replicas": str(in_sync)}

    def _log_creation(self, name: str, code: int, partitions: int) -> None:
        if code == 0:
            is_new = name not in self._counts
            self.recreated_count += not is_new
            log.log(
                logging.INFO if is_new else logging.WARNING,
                "kafka.topic_created" if is_new else "kafka.topic_created_again",
                extra={"topic": name, "partitions": partitions},
            )
        elif code != TOPIC_EXISTS:
            log.error(
                "kafka.topic_not_created",
                extra={"topic": name, "error_class": error_class_name(for_code(code)())},
            )


async def _wait_until_visible(producer: AIOKafkaProducer, name: str) -> None:
    try:
        async with asyncio.timeout(AUTO_CREATION_SECONDS):
            await producer.partitions_for(name)
    except (KafkaError, TimeoutError) as error:
        log.warning("kafka.no_topic", extra={"topic": name, "error_class": error_class_name(error)})
