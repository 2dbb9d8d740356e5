"""What `govid check` and `govid serve` say about Kafka. None of it keeps govid from starting.

Nothing is changed here: topics that are missing are created by a server that runs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import msgspec

from govid.bus import Outage
from govid.bus.kafka.acceptance import QUERIES, topic_states
from govid.bus.kafka.archive import Archive, reading
from govid.bus.kafka.room import quiet
from govid.bus.kafka.topics_admin import ordered_topics, wanted_topics
from govid.bus.storage.connection import ConnectionFactory, InvalidConnectionUrl
from govid.bus.storage.errors import DATABASE_UNAVAILABLE
from govid.gateway.settings import Settings


class KafkaFindings(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in Kafka."""

    warnings: list[str] = []


async def kafka_findings(settings: Settings) -> KafkaFindings:
    """Compare Kafka with what the database remembers of it.

    A database that cannot be asked is told elsewhere; nothing is compared then.
    """
    servers = settings.bus.kafka_bootstrap_servers
    if not servers or not settings.bus.database_url:
        return KafkaFindings()
    try:
        connection = await ConnectionFactory(
            settings.bus.database_url, application="govid check"
        ).open()
    except (*DATABASE_UNAVAILABLE, InvalidConnectionUrl):
        return KafkaFindings()
    quiet()
    try:
        async with reading(servers) as archive:
            return await _look(settings, connection, archive)
    except Outage:
        return KafkaFindings(warnings=["Kafka stopped answering while it was looked at"])
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        return KafkaFindings()
    finally:
        await connection.close()


async def _look(settings: Settings, connection: Any, archive: Archive) -> KafkaFindings:
    present = await archive.partitions()
    rows = await connection.fetch(QUERIES["topics"])
    return KafkaFindings(warnings=[*_topics(settings, rows, present)])


def _topics(
    settings: Settings, rows: list[Mapping[str, Any]], present: Mapping[str, int]
) -> Iterator[str]:
    missing = [name for name in wanted_topics(settings.bus) if name not in present]
    if missing:
        yield f"Kafka has no topic {', '.join(missing)}: a server that runs creates what is missing"
    for one in topic_states(rows, present, ordered_topics(settings.bus)):
        if one.state == "changed":
            yield (
                f"topic {one.topic} has {one.in_kafka} partitions and had {one.partitions}: govid "
                f"goes on with {one.partitions} until `govid topics accept {one.topic}`"
            )
