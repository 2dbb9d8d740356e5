"""Checks Kafka for `govid check` and `govid serve`. No finding prevents a start.

The checks change nothing: missing topics are created by a running server.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import asyncpg
import msgspec

from govid.bus import Outage
from govid.bus.kafka.acceptance import QUERIES, TopicState, topic_states
from govid.bus.kafka.archive import Archive, reading
from govid.bus.kafka.cleanup import silence_aiokafka
from govid.bus.kafka.kafka_ahead import KafkaComparison, compare_ends
from govid.bus.kafka.topics_admin import ordered_topics, wanted_topics
from govid.bus.storage.connection import ConnectionFactory, InvalidConnectionUrl
from govid.bus.storage.errors import DRIVER_ERRORS, error_class
from govid.gateway.kafka_addresses import (
    describe_silence,
    why_nobody_answers,
)
from govid.gateway.settings import Settings

UNCLEAN = "unclean.leader.election.enable"
A_DATABASE_AHEAD = (
    "nothing is published until you have followed docs/restore.md and have run `govid topics "
    "accept-ahead` or `govid serve --accept-kafka-ahead`"
)


class KafkaFindings(msgspec.Struct, frozen=True, kw_only=True):
    """Findings about Kafka. `relay_faults` keep a server from publishing, not from starting."""

    warnings: list[str] = []
    relay_faults: list[str] = []


async def kafka_findings(settings: Settings) -> KafkaFindings:
    """Check Kafka and compare it with the database's record of it.

    Without a database nothing is compared; `checks/production.py` reports that it is unavailable.
    """
    servers = settings.bus.kafka_bootstrap_servers
    if not servers:
        return KafkaFindings()
    silence_aiokafka()
    try:
        # The client would retry for seconds at an address that refuses connections.
        if await why_nobody_answers(servers) is None:
            async with reading(servers) as archive:
                return await _check(settings, archive)
    except Outage:
        pass
    except Exception as error:  # noqa: BLE001 - an edge: a server starts whatever Kafka does
        return KafkaFindings(warnings=[f"Kafka was not checked, because of {error_class(error)}"])
    silence = await describe_silence(servers)
    return KafkaFindings(warnings=[f"{silence}: events wait, and no topic was checked"])


async def _check(settings: Settings, archive: Archive) -> KafkaFindings:
    present = await archive.partitions()
    wanted = wanted_topics(settings.bus)
    missing = [name for name in wanted if name not in present]
    compared = await _compare_with_database(settings, archive, present)
    durability = await durability_warnings(archive, [name for name in wanted if name in present])
    return KafkaFindings(
        warnings=[*_missing_topics(missing), *compared.warnings, *durability],
        relay_faults=compared.relay_faults,
    )


async def _compare_with_database(
    settings: Settings, archive: Archive, present: Mapping[str, int]
) -> KafkaFindings:
    """Compare Kafka with the database, if the database is available."""
    if not settings.bus.database_url:
        return KafkaFindings()
    try:
        factory = ConnectionFactory(settings.bus.database_url, application="govid check")
        connection = await factory.open()
    except (*DRIVER_ERRORS, InvalidConnectionUrl):
        return KafkaFindings()
    try:
        rows = await connection.fetch(QUERIES["topics"])
        is_in_memory = bool(settings.bus.kafka_generation)
        found = (
            KafkaComparison()
            if is_in_memory
            else await compare_ends(settings.bus, connection, archive)
        )
    except asyncpg.PostgresError:
        return KafkaFindings()
    finally:
        await connection.close()
    return KafkaFindings(
        warnings=[
            *_changed_topics(topic_states(rows, present, ordered_topics(settings.bus))),
            *found.warnings(),
        ],
        relay_faults=[f"{one.sentence}; {A_DATABASE_AHEAD}" for one in found.ahead],
    )


async def durability_warnings(archive: Archive, topics: Sequence[str]) -> list[str]:
    """Return warnings for topics that can lose acknowledged records with one broker."""
    replicas = await archive.replicas(topics)
    configuration = await archive.configuration(topics)
    found = {
        "one replica only (replication factor 1)": [n for n in topics if replicas.get(n) == 1],
        "min.insync.replicas=1, so that one broker acknowledges alone": [
            n for n in topics if configuration.get(n, {}).get("min.insync.replicas") == "1"
        ],
        "unclean.leader.election.enable=true, so that acknowledged records can be dropped": [
            n for n in topics if configuration.get(n, {}).get(UNCLEAN) == "true"
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
