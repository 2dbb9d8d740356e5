"""What `govid check` and `govid serve` say about a Kafka that answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from govid.bus import BusSettings
from govid.bus.events import Topic
from govid.bus.kafka.topics import required_topics
from govid.gateway.checks.kafka import KafkaFindings, durability_warnings
from tests.kafka.fixtures import KafkaFixture, wait_until
from tests.kafka.test_kafka_ahead import look
from tests.kafka.test_topics import grow
from tests.kafka.test_verify_kafka import administer

pytestmark = pytest.mark.kafka


class ReaderFake:
    """Topics as a cluster would tell of them that tests do not have."""

    def __init__(self, replicas: int, entries: Mapping[str, str]) -> None:
        self._replicas = replicas
        self._entries = entries

    async def fetch_replica_counts(self, topics: Sequence[str]) -> Mapping[str, int]:
        return dict.fromkeys(topics, self._replicas)

    async def fetch_configuration(self, topics: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        return dict.fromkeys(topics, self._entries) if self._entries else {}


DROPPED = "so that acknowledged records can be dropped"
NOT_ALLOWED = "govid may not read the settings of"
SAFE = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}


@pytest.mark.parametrize(
    ("replicas", "entries", "warnings"),
    [
        (3, SAFE, []),
        (1, SAFE, ["topics with one replica only (replication factor 1): a, b"]),
        (
            3,
            {**SAFE, "min.insync.replicas": "1"},
            [
                "topics with min.insync.replicas=1, so that one broker acknowledges alone: a, b",
            ],
        ),
        (
            3,
            {**SAFE, "unclean.leader.election.enable": "true"},
            [f"topics with unclean.leader.election.enable=true, {DROPPED}: a, b"],
        ),
        (
            3,
            {},
            [f"the durability of Kafka's records is unknown: {NOT_ALLOWED} a, b"],
        ),
    ],
    ids=["safe", "one replica", "one in sync", "unclean", "not allowed to look"],
)
async def test_c13_what_can_lose_acknowledged_records_is_a_warning(
    replicas: int, entries: Mapping[str, str], warnings: list[str]
) -> None:
    archive: Any = ReaderFake(replicas, entries)
    settings = BusSettings(database_url="", kafka_bootstrap_servers="", pseudonym_key=b"")
    assert await durability_warnings(archive, ["a", "b"], settings) == warnings


async def test_topics_are_held_against_the_settings_of_new_ones() -> None:
    archive: Any = ReaderFake(3, {**SAFE, "min.insync.replicas": "2"})
    settings = BusSettings(
        database_url="",
        kafka_bootstrap_servers="",
        pseudonym_key=b"",
        replication_factor=5,
        min_insync_replicas=3,
    )
    assert await durability_warnings(archive, ["a"], settings) == [
        "topics with fewer replicas than GOVID_KAFKA_REPLICATION_FACTOR=5: a",
        "topics with min.insync.replicas below GOVID_KAFKA_MIN_INSYNC_REPLICAS=3: a",
    ]


@pytest.fixture
async def settled(replica: KafkaFixture) -> KafkaFixture:
    """Return a replica that has created its topics."""
    await replica.wait_until_healthy()
    return replica


async def test_c13_a_single_broker_is_reported(settled: KafkaFixture) -> None:
    names = required_topics(settled.settings)
    name = settled.wire_name(Topic.VERIFICATION_REQUEST)
    await administer(settled, lambda client: client.incremental_alter_configs([unclean(name)]))
    await wait_until(lambda: wait_until_reported(settled.settings, f"can be dropped: {name}"))
    found = await look(settled.settings)
    every = ", ".join(names)
    assert found.warnings == [
        f"topics with one replica only (replication factor 1): {every}",
        f"topics with min.insync.replicas=1, so that one broker acknowledges alone: {every}",
        f"topics with unclean.leader.election.enable=true, {DROPPED}: {name}",
    ]
    assert found.relay_faults == []


async def test_a11_check_warns_of_a_changed_number_of_partitions(settled: KafkaFixture) -> None:
    name = settled.wire_name(Topic.APPOINTMENT_REQUEST)
    await grow(settled, name, 6)
    found = await look(settled.settings)
    assert found.warnings[0] == (
        f"topic {name} has 6 partitions and had 4: govid goes on with 4 until "
        f"`govid topics accept {name}`"
    )


async def test_a10_check_names_topics_that_are_missing(kafka_settings: BusSettings) -> None:
    found = await look(kafka_settings)
    names = ", ".join(required_topics(kafka_settings))
    assert found.warnings[0] == (
        f"Kafka has no topic {names}: a server that runs creates what is missing"
    )


@pytest.mark.parametrize("url", ["", "postgresql://x@127.0.0.1:1/x", "postgresql://x?sslmode=off"])
async def test_f11_missing_topics_are_named_whatever_the_database_does(
    kafka_settings: BusSettings, url: str
) -> None:
    settings = msgspec.structs.replace(kafka_settings, database_url=url)
    found = await look(settings)
    names = ", ".join(required_topics(settings))
    assert found == KafkaFindings(
        warnings=[f"Kafka has no topic {names}: a server that runs creates what is missing"]
    )


def unclean(topic: str) -> ConfigResource:
    entry = ConfigEntry(
        "unclean.leader.election.enable", "true", incremental_operation=AlterConfigOpType.SET
    )
    return ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])


async def wait_until_reported(settings: BusSettings, words: str) -> bool:
    return any(words in one for one in (await look(settings)).warnings)
