"""Operator acceptances about Kafka: new partition counts, gaps, skips, records that are ahead.

Each is stored in one transaction with the event that records it. A new number of partitions moves
keys from one partition to another, so nothing of the topic may be in flight while it changes. The
topic is paused, every replica reports that what it had begun is completed, and then one transaction
fences the relay and changes the number.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from govid.bus.delivery.subscriptions import RELAY
from govid.bus.events import (
    TopicGapAccepted,
    TopicKafkaAheadAccepted,
    TopicPartitionsAccepted,
    TopicRecordsSkipped,
)
from govid.bus.kafka.inbound_faults import QUERIES as GAP_QUERIES
from govid.bus.kafka.inbound_faults import InboundFault, InboundFaults
from govid.bus.kafka.kafka_ahead import AheadPartition
from govid.bus.operations.operator_actions import ActionMetadata, OperatorActions
from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.operations", "kafka_acceptance.sql")
POLL_SECONDS = 0.1
PAUSE_SECONDS = 60.0
"""How long a topic is paused if the command that began the switch is killed."""


class SwitchInProgress(Exception):
    """Another operator is changing the number of partitions of this topic."""


class SwitchExpired(Exception):
    """The switch took too long and the pause of the topic expired; nothing was changed."""


class RelayBusy(Exception):
    """A replica did not report in time that nothing is in flight; nothing was changed."""


class TopicState(msgspec.Struct, frozen=True, kw_only=True):
    """A topic: the number of partitions that is used, and the one that Kafka has."""

    topic: str
    partitions: int
    in_kafka: int | None
    state: str


class PartitionSwitch:
    """Changes the number of partitions by which the keys of a topic are distributed."""

    def __init__(
        self, connection: Any, actions: OperatorActions, *, timeout_seconds: float = 40
    ) -> None:
        """Change it through *connection*; wait at most *timeout_seconds* for the replicas.

        That is longer than a lease, so a replica that was killed or is frozen has lost its leases.
        """
        self._connection = connection
        self._actions = actions
        self._timeout_seconds = timeout_seconds

    async def run(self, topic: str, partitions: int, metadata: ActionMetadata) -> int:
        """Accept *partitions* for *topic*; return the number that it had before.

        Raises:
            SwitchInProgress: another operator is changing the number.
            RelayBusy: a replica still has records of the topic in flight.
            SwitchExpired: the pause of the topic expired before the switch was complete.
        """
        async with self._pause_topic(topic, partitions) as change:
            await self._wait_for_replicas(change)
            before: list[int] = []

            async def work() -> TopicPartitionsAccepted | None:
                await self._connection.execute(QUERIES["lock_topics"])
                row = await self._connection.fetchrow(QUERIES["topic"], topic)
                if row is None or not row["switching"] or row["switching_to"] != partitions:
                    raise SwitchExpired
                before[:] = [row["partitions"]]
                await self._connection.fetch(QUERIES["fence_relay"], RELAY, change)
                await self._connection.execute(QUERIES["switch"], topic, partitions)
                return metadata.build_event(
                    TopicPartitionsAccepted,
                    topic=topic,
                    partitions_before=row["partitions"],
                    partitions=partitions,
                )

            await self._actions.commit_event(work)
        return before[0]

    @asynccontextmanager
    async def _pause_topic(self, topic: str, partitions: int) -> AsyncIterator[int]:
        """Pause publishing to *topic* during the block; yield the number of the change."""
        async with self._connection.transaction():
            # Changes commit in the order of their numbers, so a replica that has adopted one has
            # adopted all earlier ones.
            await self._connection.execute(QUERIES["lock_topics"])
            change = await self._connection.fetchval(
                QUERIES["begin_switch"], topic, partitions, PAUSE_SECONDS
            )
        if change is None:
            raise SwitchInProgress
        try:
            yield change
        finally:
            await asyncio.shield(self._resume_topic(topic, change))

    async def _resume_topic(self, topic: str, change: int) -> None:
        """End the pause of *topic*. After a successful switch there is nothing left to change."""
        async with self._connection.transaction():
            await self._connection.execute(QUERIES["lock_topics"])
            await self._connection.execute(QUERIES["end_switch"], topic, change)

    async def _wait_for_replicas(self, change: int) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                while True:
                    behind = await self._connection.fetchval(
                        QUERIES["replicas_behind"], RELAY, change
                    )
                    if not behind:
                        return
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise RelayBusy from error


async def count_gap_records(connection: Any, topic: str, partition: int, first: int) -> int:
    """Return the number of records of the open gap that begins at *first*; 0 without such a gap."""
    return sum(
        row["next"] - row["first"]
        for row in await connection.fetch(GAP_QUERIES["open_gaps"])
        if (row["topic"], row["partition"], row["first"]) == (topic, partition, first)
    )


async def accept_gap(
    connection: Any,
    actions: OperatorActions,
    topic: str,
    partition: int,
    first: int,
    metadata: ActionMetadata,
) -> int:
    """Accept the loss of the gap that begins at *first*; return its number of records, or 0."""
    accepted: list[int] = []

    async def work() -> TopicGapAccepted | None:
        next_offset = await connection.fetchval(QUERIES["accept_gap"], topic, partition, first)
        if next_offset is None:
            return None
        accepted.append(next_offset - first)
        return metadata.build_event(
            TopicGapAccepted,
            topic=topic,
            partition=partition,
            first_offset=first,
            next_offset=next_offset,
        )

    await actions.commit_event(work)
    return sum(accepted)


async def accept_skip(
    faults: InboundFaults, actions: OperatorActions, fault: InboundFault, metadata: ActionMetadata
) -> bool:
    """Accept that the records of *fault* are skipped; return whether no other operator had yet."""

    async def work() -> TopicRecordsSkipped | None:
        accepted = await faults.accept_skip(fault.topic, fault.partition, fault.first_offset)
        if accepted is None:
            return None
        return metadata.build_event(
            TopicRecordsSkipped,
            topic=accepted.topic,
            partition=accepted.partition,
            first_offset=accepted.first_offset,
            next_offset=accepted.next_offset,
            fault=f"{accepted.kind}: {accepted.reason}",
        )

    return await actions.commit_event(work)


async def accept_ahead(
    connection: Any,
    actions: OperatorActions,
    ahead: Sequence[AheadPartition],
    metadata: ActionMetadata,
) -> None:
    """Let the relay publish although the last events of *ahead* are missing in the database."""

    async def work() -> TopicKafkaAheadAccepted:
        await connection.execute(
            QUERIES["accept_ends"],
            [one.topic for one in ahead],
            [one.partition for one in ahead],
            [one.end for one in ahead],
        )
        ends = {f"{one.topic}/{one.partition}": one.end for one in ahead}
        return metadata.build_event(TopicKafkaAheadAccepted, ends=ends)

    await actions.commit_event(work)


async def fetch_topic_states(
    connection: Any, present: Mapping[str, int] | None, ordered: Sequence[str]
) -> list[TopicState]:
    """Return the stored topics, compared with the numbers in Kafka as in `compare_topics`."""
    return compare_topics(await connection.fetch(QUERIES["topics"]), present, ordered)


def compare_topics(
    rows: Sequence[Mapping[str, Any]], present: Mapping[str, int] | None, ordered: Sequence[str]
) -> list[TopicState]:
    """Compare the stored *rows* of topics with the numbers in Kafka (None: unknown).

    The number of partitions of a topic that is not *ordered* does not matter.
    """
    return [
        TopicState(
            topic=row["name"],
            partitions=row["partitions"],
            in_kafka=None if present is None else present.get(row["name"], 0),
            state=_topic_state(row, present, is_ordered=row["name"] in ordered),
        )
        for row in rows
    ]


def _topic_state(
    row: Mapping[str, Any], present: Mapping[str, int] | None, *, is_ordered: bool
) -> str:
    if row["switching"]:
        return "switching"
    if present is None:
        return "unknown"
    count = present.get(row["name"], 0)
    if not count:
        return "missing"
    return "changed" if is_ordered and count != row["partitions"] else "ok"
