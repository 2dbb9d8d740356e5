"""Fetches the batch at one offset as bytes, and decodes it without aiokafka's decoder.

aiokafka refuses a whole batch for one header whose name is not UTF-8, and returns nothing where
the broker refuses a fetch.
"""

from typing import Any

from aiokafka import TopicPartition, errors
from aiokafka.protocol.fetch import FetchRequest

from govid.bus.kafka.record_batches import DecodedBatch, UnreadableBatch, decode_batch

WAIT_MS = 100
FETCH_BYTES = 1024 * 1024
READ_UNCOMMITTED = 0
PASSING_CODES = frozenset({1, 3, 5, 6, 9, 74, 75, 78})
"""Refusals of a fetch that end by themselves, or by a new position.

Source: Kafka protocol guide, "Error Codes".
"""


def has_leader(cluster: Any, partition: TopicPartition) -> bool:
    """Tell whether a broker leads *partition*, as far as aiokafka's *cluster* knows."""
    return cluster.leader_for_partition(partition) not in {None, -1}


async def fetch_batch(
    client: Any, partition: TopicPartition, position: int, end: int
) -> DecodedBatch | None:
    """Return the batch at *position*; None if the broker cannot say at the moment.

    *end* is the offset after the newest record; *client* is that of a consumer.

    Raises:
        UnreadableBatch: the batch is damaged, or the broker refuses it.
        KafkaError: Kafka is away.
    """
    leader = client.cluster.leader_for_partition(partition)
    if leader in {None, -1}:
        await client.force_metadata_update()
        return None
    wanted = (partition.partition, position, FETCH_BYTES)
    request = FetchRequest(WAIT_MS, 1, FETCH_BYTES, READ_UNCOMMITTED, [(partition.topic, [wanted])])
    response = await client.send(leader, request)
    ((_, ((_, code, *details),)),) = response.topics
    if code in PASSING_CODES:
        await client.force_metadata_update()
        return None
    if code:
        raise UnreadableBatch(errors.for_code(code).__name__, position + 1)
    if not details[-1]:
        raise UnreadableBatch("missing", position + 1)
    return decode_batch(details[-1], partition.topic, partition.partition, position, end)
