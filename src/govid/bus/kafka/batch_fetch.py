"""Fetches the batch at one offset as bytes, and decodes it without aiokafka's decoder.

aiokafka refuses a whole batch for one header whose name is not UTF-8, and returns nothing where
the broker refuses a fetch.
"""

import asyncio
from typing import Any

from aiokafka import TopicPartition, errors
from aiokafka.protocol.fetch import FetchRequest

from govid.bus.kafka.record_batches import (
    AbortedTransaction,
    DecodedBatch,
    UnreadableBatch,
    decode_batch,
)

WAIT_MS = 100
FETCH_BYTES = 1024 * 1024
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
TRANSIENT_CODES = frozenset({3, 5, 6, 9, 74, 75, 78})
"""Error codes of transient refusals: the leader, its epoch or its end offset is not known yet.

Source: Kafka protocol guide, "Error Codes".
"""


def has_leader(cluster: Any, partition: TopicPartition) -> bool:
    """Tell whether a broker leads *partition*, as far as aiokafka's *cluster* knows."""
    return cluster.leader_for_partition(partition) not in {None, -1}


async def fetch_batch(
    client: Any, partition: TopicPartition, position: int, *, committed: bool = False
) -> DecodedBatch | None:
    """Return the batch at *position*; None if there is none, or on a transient refusal.

    *client* is the network client of a consumer. With *committed*, records of open and of aborted
    transactions are left out.

    Raises:
        UnreadableBatch: the batch is damaged, or the broker refuses it.
        OffsetOutOfRangeError: *position* is outside the offsets that Kafka has.
        KafkaError: Kafka is unavailable.
    """
    if not has_leader(client.cluster, partition):
        # Not awaited: a later call will see the new leader.
        client.force_metadata_update()
        return None
    wanted = (partition.partition, position, FETCH_BYTES)
    isolation = READ_COMMITTED if committed else READ_UNCOMMITTED
    request = FetchRequest(WAIT_MS, 1, FETCH_BYTES, isolation, [(partition.topic, [wanted])])
    response = await client.send(client.cluster.leader_for_partition(partition), request)
    ((_, ((_, code, end, stable_end, *details),)),) = response.topics
    if code in TRANSIENT_CODES:
        await client.force_metadata_update()
        return None
    error = errors.for_code(code)
    if error is errors.OffsetOutOfRangeError:
        raise error
    if error is not errors.NoError:
        raise UnreadableBatch(error.__name__, position + 1)
    # Version 11 has the preferred replica between the aborted transactions and the records.
    aborted = details[1] if response.API_VERSION >= 11 else details[-2]  # noqa: PLR2004
    if not details[-1] and position < (stable_end if committed else end):
        raise UnreadableBatch("missing", position + 1)
    # In a thread: a batch may hold so many records that requests would wait for its decoding.
    return await asyncio.to_thread(
        decode_batch,
        details[-1] or b"",
        partition.topic,
        partition.partition,
        position,
        end,
        [AbortedTransaction(*one) for one in aborted or ()],
    )
