"""A position outside the offsets that Kafka has: what happens if a rebalance comes in between."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from govid.bus.kafka.inbound_faults import InboundFaults, InboxGaps
from govid.bus.kafka.partition_reader import PartitionReader

PARTITION = TopicPartition("notices", 0)
COMMITTED, FIRST, END = 10, 35, 47


class RebalancingConsumer:
    """A consumer whose group revokes the partition and assigns it again during a question."""

    def __init__(self) -> None:
        """Rebalance nothing until `reader`, the listener, is set."""
        self.reader: PartitionReader | None = None
        self.sought: list[int] = []

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought.append(offset)

    async def committed(self, partition: TopicPartition) -> int:
        return COMMITTED

    async def beginning_offsets(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        if self.reader is not None:
            await self.reader.on_partitions_revoked(partitions)
        return {PARTITION: FIRST}

    async def end_offsets(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        return {PARTITION: END}


class GapStore:
    """The statements of faults and gaps; `gaps` are the offsets of each that was stored."""

    def __init__(self) -> None:
        """Store nothing yet."""
        self.gaps: list[tuple[int, int]] = []

    async def fetchval(self, query: str, *values: Any) -> Any:
        if "inbox_gap" in query:
            self.gaps.append((values[2], values[3]))
            return values[2]
        return None

    async def execute(self, query: str, *values: Any) -> str:
        return "DELETE 0"


async def test_a9_a_rebalance_hides_no_records_that_were_removed_unread() -> None:
    consumer, store = RebalancingConsumer(), GapStore()
    reader = PartitionReader(consumer, InboundFaults(store), InboxGaps(store))
    await reader._find_position(PARTITION)
    consumer.reader = reader
    await reader._reset_position(PARTITION)
    assert (consumer.sought, store.gaps) == ([COMMITTED], [])
    consumer.reader = None
    await reader._find_position(PARTITION)
    await reader._reset_position(PARTITION)
    assert store.gaps == [(COMMITTED, FIRST)]
    assert reader.get_position(PARTITION) == FIRST
