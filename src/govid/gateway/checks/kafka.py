"""Checks Kafka for `govid check` and `govid serve`. No finding prevents a start.

The checks change nothing: missing topics are created by a running server.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import asyncpg
import msgspec

from govid.bus import BusSettings, Outage
from govid.bus.kafka.client_lifecycle import silence_client_logs
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.kafka_ahead import KafkaComparison, compare_ends
from govid.bus.kafka.outage import describe_outage, explain_outage
from govid.bus.kafka.permissions import find_missing_permissions
from govid.bus.kafka.topic_reader import TopicReader, open_reader
from govid.bus.kafka.topics import ordered_topics, required_topics
from govid.bus.operations.kafka_acceptance import QUERIES, TopicState, compare_topics
from govid.bus.storage.connection import (
    InvalidConnectionUrl,
)
from govid.bus.storage.errors import DRIVER_ERRORS, error_class_name
from govid.gateway.checks.connections import build_check_factory
from govid.gateway.settings import Settings

UNCLEAN_ELECTION = "unclean.leader.election.enable"
KAFKA_AHEAD_REMEDY = (
    "nothing is published until you have followed docs/restore.md and have run `govid topics "
    "accept-ahead` or `govid serve --accept-kafka-ahead`"
)


class KafkaFindings(msgspec.Struct, frozen=True, kw_only=True):
    """Findings about Kafka. `relay_faults` keep a server from publishing, not from starting."""

    warnings: list[str] = []
    relay_faults: list[str] = []


async def check_kafka(settings: Settings) -> KafkaFindings:
    """Check Kafka and compare it with the database's record of it.

    Without a database nothing is compared; `checks/production.py` reports that it is unavailable.
    """
    if not settings.bus.kafka_bootstrap_servers:
        return KafkaFindings()
    silence_client_logs()
    clients = KafkaClientFactory.from_settings(settings.bus)
    try:
        # The client would retry for seconds at an address that refuses connections.
        if await explain_outage(clients) is None:
            async with open_reader(clients) as reader:
                found = await _check(settings, reader)
            permissions = await _permission_warnings(settings, clients)
            return msgspec.structs.replace(found, warnings=[*permissions, *found.warnings])
    except Outage:
        pass
    except Exception as error:  # noqa: BLE001 - an edge: a server starts whatever Kafka does
        return KafkaFindings(
            warnings=[f"Kafka was not checked, because of {error_class_name(error)}"]
        )
    outage = await describe_outage(clients)
    return KafkaFindings(warnings=[f"{outage}: events wait, and no topic was checked"])


async def _check(settings: Settings, reader: TopicReader) -> KafkaFindings:
    present = await reader.fetch_partition_counts()
    wanted = required_topics(settings.bus)
    missing = [name for name in wanted if name not in present]
    compared = await _compare_with_database(settings, reader, present)
    durability = await durability_warnings(
        reader, [name for name in wanted if name in present], settings.bus
    )
    return KafkaFindings(
        warnings=[*_missing_topics(missing), *compared.warnings, *durability],
        relay_faults=compared.relay_faults,
    )


async def _compare_with_database(
    settings: Settings, reader: TopicReader, present: Mapping[str, int]
) -> KafkaFindings:
    """Compare Kafka with the database, if the database is available."""
    if not settings.bus.database_url:
        return KafkaFindings()
    try:
        factory = build_check_factory(settings.bus.database_url)
        connection = await factory.connect()
    except (*DRIVER_ERRORS, InvalidConnectionUrl):
        return KafkaFindings()
    try:
        rows = await connection.fetch(QUERIES["topics"])
        is_in_memory = bool(settings.bus.kafka_generation)
        found = (
            KafkaComparison()
            if is_in_memory
            else await compare_ends(settings.bus, connection, reader)
        )
    except asyncpg.PostgresError:
        return KafkaFindings()
    finally:
        await connection.close()
    return KafkaFindings(
        warnings=[
            *_changed_topics(compare_topics(rows, present, ordered_topics(settings.bus))),
            *found.build_warnings(),
        ],
        relay_faults=[f"{one.message}; {KAFKA_AHEAD_REMEDY}" for one in found.ahead],
    )


async def durability_warnings(
    reader: TopicReader, topics: Sequence[str], settings: BusSettings
) -> list[str]:
    """Return warnings for topics that can lose acknowledged records with one broker.

    Topics that exist are also compared with what *settings* demand of new ones.
    """
    replicas = await reader.fetch_replica_counts(topics)
    configuration = await reader.fetch_configuration(topics)
    wanted_replicas = settings.replication_factor or 0
    wanted_in_sync = settings.min_insync_replicas or 0
    found = {
        f"fewer replicas than GOVID_KAFKA_REPLICATION_FACTOR={wanted_replicas}": [
            n for n in topics if replicas.get(n, wanted_replicas) < wanted_replicas
        ],
        f"min.insync.replicas below GOVID_KAFKA_MIN_INSYNC_REPLICAS={wanted_in_sync}": [
            n for n in topics if _read_in_sync(configuration, n, wanted_in_sync) < wanted_in_sync
        ],
        "one replica only (replication factor 1)": [n for n in topics if replicas.get(n) == 1],
        "min.insync.replicas=1, so that one broker acknowledges alone": [
            n for n in topics if configuration.get(n, {}).get("min.insync.replicas") == "1"
        ],
        "unclean.leader.election.enable=true, so that acknowledged records can be dropped": [
            n for n in topics if configuration.get(n, {}).get(UNCLEAN_ELECTION) == "true"
        ],
    }
    warnings = [f"topics with {what}: {', '.join(names)}" for what, names in found.items() if names]
    unseen = [name for name in topics if "min.insync.replicas" not in configuration.get(name, {})]
    if unseen:
        warnings.append(
            "the durability of Kafka's records is unknown: govid may not read the settings of "
            + ", ".join(unseen)
        )
    return warnings


def _read_in_sync(
    configuration: Mapping[str, Mapping[str, str | None]], topic: str, default: int
) -> int:
    """Return `min.insync.replicas` of *topic*, or *default* if govid may not see it."""
    return int(configuration.get(topic, {}).get("min.insync.replicas") or default)


async def _permission_warnings(settings: Settings, clients: KafkaClientFactory) -> list[str]:
    """Return what the ACLs lack. No answer to this question affects the other findings."""
    try:
        missing = await find_missing_permissions(settings.bus, clients)
    except (Outage, TimeoutError):
        return ["Kafka's ACLs were not checked: it did not answer in time"]
    if not missing:
        return []
    return [
        "Kafka's ACLs do not allow govid everything that it needs (deploy/kafka-acls.txt): "
        + ", ".join(map(str, missing))
    ]


def _missing_topics(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"Kafka has no topic {', '.join(names)}: a server that runs creates what is missing"


def _changed_topics(states: Iterable[TopicState]) -> Iterator[str]:
    for one in states:
        if one.state == "changed":
            yield (
                f"topic {one.topic} has {one.in_kafka} partitions and had {one.partitions}: govid "
                f"goes on with {one.partitions} until `govid topics accept {one.topic}`"
            )
