"""Decodes one record batch from the bytes of a fetch, where aiokafka cannot.

aiokafka reports neither which batch it could not read nor why, and it refuses a whole batch for one
header name that is not UTF-8. This module reports what is wrong with the batch at a position and
where the next one begins, and decodes intact batches.

Source: Kafka protocol guide, "Record Batch" (magic 2).
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aiokafka.record.util import calc_crc32c, decode_varint

from govid.bus.kafka.decompression import UnknownCodec, decompress

_HEADER = struct.Struct(">qiibIhiqqqhii")
"""baseOffset, batchLength, partitionLeaderEpoch, magic, crc, attributes, lastOffsetDelta,
baseTimestamp, maxTimestamp, producerId, producerEpoch, baseSequence, recordsCount."""
_PREFIX_BYTES = 12
"""Size of the first two fields, which the batch length does not include."""
_CRC_FROM = 21
_MAGIC = 2
_CODEC_MASK = 0x07
_LOG_APPEND_TIME = 0x08
_TRANSACTIONAL = 0x10
_CONTROL = 0x20


class DecodedRecord(NamedTuple):
    """A record with the attributes of an aiokafka `ConsumerRecord` that govid reads."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class DecodedBatch(NamedTuple):
    """The records of an intact batch, and the offset after it."""

    records: Sequence[DecodedRecord]
    next_offset: int


class UnreadableBatch(Exception):
    """The batch cannot be read.

    `reason` is one of *missing* (the broker returns nothing), *truncated*, *format*, *checksum*,
    *codec*, *compression* and *structure*, or the name of the broker's refusal. `next_offset` is
    the best estimate of where the next batch begins. The reason of a batch that has more than
    64 MiB after decompression is *compression*.
    """

    def __init__(self, reason: str, next_offset: int) -> None:
        """Name the reason in one word; the text never quotes the batch (I9)."""
        self.reason = reason
        self.next_offset = next_offset
        super().__init__(reason)


class AbortedTransaction(NamedTuple):
    """An aborted transaction of a producer, as listed in a fetch response."""

    producer_id: int
    first_offset: int


def decode_batch(
    data: bytes,
    topic: str,
    partition: int,
    position: int,
    end: int,
    aborted: Iterable[AbortedTransaction] = (),
) -> DecodedBatch | None:
    """Decode the batch that holds *position* from *data*, the record set of a fetch from there.

    Returns None if there is no batch. Records before *position*, control records and those of
    *aborted* transactions are left out. *end* limits the next offset named by a damaged header.

    Raises:
        UnreadableBatch: the batch is damaged, or its form or codec is unknown.
    """
    if not data:
        return None
    if len(data) < _HEADER.size:
        raise UnreadableBatch("truncated", position + 1)
    (
        base,
        length,
        _,
        magic,
        crc,
        attributes,
        delta,
        first_time,
        max_time,
        producer,
        _,
        _,
        count,
    ) = _HEADER.unpack_from(data)
    next_guess = _next_offset(data, position, end)
    if magic != _MAGIC:
        raise UnreadableBatch("format", next_guess)
    if length < _HEADER.size - _PREFIX_BYTES or _PREFIX_BYTES + length > len(data):
        raise UnreadableBatch("truncated", next_guess)
    body = data[: _PREFIX_BYTES + length]
    if calc_crc32c(body[_CRC_FROM:]) != crc:
        raise UnreadableBatch("checksum", next_guess)
    next_offset = base + delta + 1
    # The checksum does not cover the base offset.
    if not position < next_offset <= end:
        raise UnreadableBatch("structure", next_guess)
    is_aborted = attributes & _TRANSACTIONAL and any(
        one.producer_id == producer and one.first_offset <= base for one in aborted
    )
    if attributes & _CONTROL or is_aborted:
        return DecodedBatch((), next_offset)
    payload = _decompressed(body[_HEADER.size :], attributes & _CODEC_MASK, next_guess)
    stamp = max_time if attributes & _LOG_APPEND_TIME else None
    try:
        records = list(_records(payload, count, topic, partition, base, first_time, stamp))
    except (IndexError, ValueError) as error:
        raise UnreadableBatch("structure", next_guess) from error
    return DecodedBatch([one for one in records if one.offset >= position], next_offset)


def _next_offset(data: bytes, position: int, end: int) -> int:
    """Return where the next batch begins, as far as that can be read from a damaged batch.

    The header of the next batch is more reliable and is tried before the damaged header.
    """
    base, length, *_ = _HEADER.unpack_from(data)
    delta = _HEADER.unpack_from(data)[6]
    follower = _PREFIX_BYTES + length
    candidates = [base + delta + 1]
    if length > 0 and follower + _HEADER.size <= len(data):
        candidates.insert(0, _HEADER.unpack_from(data, follower)[0])
    return next(
        (candidate for candidate in candidates if position < candidate <= end), position + 1
    )


def _decompressed(data: bytes, codec: int, next_guess: int) -> bytes:
    try:
        return decompress(data, codec)
    except UnknownCodec as error:
        raise UnreadableBatch("codec", next_guess) from error
    except Exception as error:
        # Each library has its own errors. Their text may quote the data.
        raise UnreadableBatch("compression", next_guess) from error


def _records(
    data: bytes,
    count: int,
    topic: str,
    partition: int,
    base: int,
    first_time: int,
    stamp: int | None,
) -> Iterable[DecodedRecord]:
    view, index = bytearray(data), 0
    for _ in range(count):
        length, index = decode_varint(view, index)
        end = index + length
        if length < 0 or end > len(view):
            raise ValueError("a record is longer than its batch")
        # The first byte holds attributes, none of which is in use.
        age, index = decode_varint(view, index + 1)
        delta, index = decode_varint(view, index)
        key, index = _bytes(view, index, end)
        value, index = _bytes(view, index, end)
        headers, index = _headers(view, index, end)
        if index != end:
            raise ValueError("a record is shorter than it says")
        yield DecodedRecord(
            topic,
            partition,
            base + delta,
            first_time + age if stamp is None else stamp,
            key,
            value,
            headers,
        )


def _headers(
    view: bytearray, index: int, end: int
) -> tuple[Sequence[tuple[str, bytes | None]], int]:
    count, index = decode_varint(view, index)
    if not 0 <= count <= end - index:
        raise ValueError("a record has more headers than bytes")
    headers = []
    for _ in range(count):
        name, index = _bytes(view, index, end)
        value, index = _bytes(view, index, end)
        # A header name that is not UTF-8 does not make the record unreadable.
        headers.append(((name or b"").decode("utf-8", "backslashreplace"), value))
    return headers, index


def _bytes(view: bytearray, index: int, end: int) -> tuple[bytes | None, int]:
    length, index = decode_varint(view, index)
    if length < 0:
        return None, index
    if index + length > end:
        raise ValueError("a member is longer than its record")
    return bytes(view[index : index + length]), index + length
