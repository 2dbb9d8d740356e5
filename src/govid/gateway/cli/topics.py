"""What Kafka says of the topics, for commands that publish."""

from collections.abc import Mapping
from typing import Any

from govid.bus import Outage
from govid.bus.kafka.archive import reading
from govid.bus.kafka.room import quiet
from govid.gateway.cli.output import note
from govid.gateway.cli.settings import Target, answers


async def changed_topics(place: Target, connection: Any) -> Mapping[str, tuple[int, int]]:
    """Return the topics that have another number of partitions than they had at first sight.

    A Kafka that does not answer tells nothing, and changes nothing: what is owed to it waits.
    """
    if not await answers(place.kafka_bootstrap_servers):
        note("Kafka does not answer: what is owed to it waits until it does.")
        return {}
    quiet()
    try:
        async with reading(place.kafka_bootstrap_servers) as archive:
            present = await archive.partitions()
    except Outage:
        note("Kafka does not answer: what is owed to it waits until it does.")
        return {}
    rows = await connection.fetch("SELECT name, partitions FROM bus.topic ORDER BY name")
    return {
        row["name"]: (row["partitions"], present[row["name"]])
        for row in rows
        if present.get(row["name"], row["partitions"]) != row["partitions"]
    }
