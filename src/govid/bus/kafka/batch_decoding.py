"""Fetches, decompresses and decodes single record batches, where aiokafka cannot.

aiokafka reports neither which batch it could not read nor why, it refuses a whole batch for one
header name that is not UTF-8, and it returns nothing if the broker refuses a fetch. This module
reports what is wrong with the batch at a position and where the next one begins, and decodes intact
batches. It decompresses up to a size limit: a few kilobytes may decompress to gigabytes.

Source: Kafka protocol guide, "Record Batch" (magic 2); Java clients write snappy in xerial blocks.
"""

import asyncio
import gzip
import io
import mmap
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import cramjam
from aiokafka import TopicPartition, errors
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.util import calc_crc32c, decode_varint

MAX_DECODED_BYTES = 64 * 1024 * 1024
"""The largest batch after decompression. A producer's batch has 1 MiB by default."""
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16


class DecodedTooLarge(ValueError):
    """The decompressed data has more bytes than are permitted."""


class UnknownCodec(ValueError):
    """The number is not a known codec."""


def decompress(data: bytes, codec: int, limit: int = MAX_DECODED_BYTES) -> bytes:
    """Decompress *data* with the codec number *codec* to at most *limit* bytes.

    Raises:
        UnknownCodec: Kafka has no codec of this number.
        Exception: the data is damaged or too large; each library has its own errors.
    """
    decoder = _DECODERS.get(codec)
    if decoder is None:
        raise UnknownCodec
    return decoder(data, limit)


def limit_aiokafka_decompression() -> None:
    """Apply the same size limit to aiokafka in this process, permanently.

    aiokafka 0.14 has no setting for it, and decompresses a batch as soon as records are requested.
    Its modules look up their decoders by name at each call. Both the compiled modules and their
    fallbacks in Python are patched.
    """
    for module in _MODULES:
        for name, codec in _NAMES.items():
            if hasattr(module, name):
                setattr(module, name, partial(decompress, codec=codec))


def _read_plain(data: bytes, limit: int) -> bytes:
    del limit
    return data


def _decompress_gzip(data: bytes, limit: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as reader:
        # One byte more distinguishes data that ends at the limit from longer data.
        found = reader.read(limit + 1)
    if len(found) > limit:
        raise DecodedTooLarge
    return found


def _stream_decompressor(
    decompress_into: Callable[[bytes, mmap.mmap], int],
) -> Callable[[bytes, int], bytes]:
    def decompress_stream(data: bytes, limit: int) -> bytes:
        # The library fails if the output is full. Only pages that are written use memory.
        with mmap.mmap(-1, limit) as output:
            return output[: decompress_into(data, output)]

    return decompress_stream


def _decompress_snappy(data: bytes, limit: int) -> bytes:
    if not data.startswith(_XERIAL_MAGIC):
        return _decompress_snappy_block(data, limit)
    found, index = [], _XERIAL_HEADER_BYTES
    while index < len(data):
        start = index + 4
        index = start + int.from_bytes(data[index:start])
        if index > len(data):
            raise ValueError("the data ends within a block")
        found.append(_decompress_snappy_block(data[start:index], limit))
        limit -= len(found[-1])
    return b"".join(found)


def _decompress_snappy_block(data: bytes, limit: int) -> bytes:
    # A block begins with its length; the library allocates that much and never exceeds it.
    if cramjam.snappy.decompress_raw_len(data) > limit:
        raise DecodedTooLarge
    return bytes(cramjam.snappy.decompress_raw(data))


_DECODERS: Mapping[int, Callable[[bytes, int], bytes]] = {
    0: _read_plain,
    1: _decompress_gzip,
    2: _decompress_snappy,
    3: _stream_decompressor(cramjam.lz4.decompress_into),
    4: _stream_decompressor(cramjam.zstd.decompress_into),
}

_NAMES: Mapping[str, int] = {
    "gzip_decode": 1,
    "snappy_decode": 2,
    "lz4_decode": 3,
    "zstd_decode": 4,
}


def _decoder_modules() -> Sequence[ModuleType]:
    found = []
    for package in ("record", "record._crecords"):
        for name in ("default_records", "legacy_records"):
            # If aiokafka was not compiled, only its modules in Python exist.
            with suppress(ImportError):
                found.append(import_module(f"aiokafka.{package}.{name}"))
    return found


_MODULES = _decoder_modules()


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


class UndecodableBatch(Exception):
    """A Kafka batch of records cannot be fetched or decoded; none of its records is parsed.

    `reason` is one of `missing` (the broker returns nothing), `truncated`, `format`, `checksum`,
    `codec`, `compression` and `structure`, or the name of the broker's refusal. `next_offset` is
    the best estimate of where the next batch begins. The reason of a batch that has more than
    64 MiB after decompression is `compression`.
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
        UndecodableBatch: the batch is damaged, or its form or codec is unknown.
    """
    if not data:
        return None
    if len(data) < _HEADER.size:
        raise UndecodableBatch("truncated", position + 1)
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
    next_offset_estimate = _estimate_next_offset(data, position, end)
    if magic != _MAGIC:
        raise UndecodableBatch("format", next_offset_estimate)
    if length < _HEADER.size - _PREFIX_BYTES or _PREFIX_BYTES + length > len(data):
        raise UndecodableBatch("truncated", next_offset_estimate)
    body = data[: _PREFIX_BYTES + length]
    if calc_crc32c(body[_CRC_FROM:]) != crc:
        raise UndecodableBatch("checksum", next_offset_estimate)
    next_offset = base + delta + 1
    # The checksum does not cover the base offset.
    if not position < next_offset <= end:
        raise UndecodableBatch("structure", next_offset_estimate)
    is_aborted = attributes & _TRANSACTIONAL and any(
        one.producer_id == producer and one.first_offset <= base for one in aborted
    )
    if attributes & _CONTROL or is_aborted:
        return DecodedBatch((), next_offset)
    payload = _decompress_records(
        body[_HEADER.size :], attributes & _CODEC_MASK, next_offset_estimate
    )
    append_timestamp = max_time if attributes & _LOG_APPEND_TIME else None
    try:
        records = list(
            _decode_records(payload, count, topic, partition, base, first_time, append_timestamp)
        )
    except (IndexError, ValueError) as error:
        raise UndecodableBatch("structure", next_offset_estimate) from error
    return DecodedBatch([one for one in records if one.offset >= position], next_offset)


def _estimate_next_offset(data: bytes, position: int, end: int) -> int:
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


def _decompress_records(data: bytes, codec: int, next_offset_estimate: int) -> bytes:
    try:
        return decompress(data, codec)
    except UnknownCodec as error:
        raise UndecodableBatch("codec", next_offset_estimate) from error
    except Exception as error:
        # Each library has its own errors. Their text may quote the data.
        raise UndecodableBatch("compression", next_offset_estimate) from error


def _decode_records(
    data: bytes,
    count: int,
    topic: str,
    partition: int,
    base: int,
    first_time: int,
    append_timestamp: int | None,
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
        key, index = _decode_bytes(view, index, end)
        value, index = _decode_bytes(view, index, end)
        headers, index = _decode_headers(view, index, end)
        if index != end:
            raise ValueError("a record is shorter than it says")
        yield DecodedRecord(
            topic,
            partition,
            base + delta,
            first_time + age if append_timestamp is None else append_timestamp,
            key,
            value,
            headers,
        )


def _decode_headers(
    view: bytearray, index: int, end: int
) -> tuple[Sequence[tuple[str, bytes | None]], int]:
    count, index = decode_varint(view, index)
    if not 0 <= count <= end - index:
        raise ValueError("a record has more headers than bytes")
    headers = []
    for _ in range(count):
        name, index = _decode_bytes(view, index, end)
        value, index = _decode_bytes(view, index, end)
        # A header name that is not UTF-8 does not make the record unreadable.
        headers.append(((name or b"").decode("utf-8", "backslashreplace"), value))
    return headers, index


def _decode_bytes(view: bytearray, index: int, end: int) -> tuple[bytes | None, int]:
    length, index = decode_varint(view, index)
    if length < 0:
        return None, index
    if index + length > end:
        raise ValueError("a member is longer than its record")
    return bytes(view[index : index + length]), index + length


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
        UndecodableBatch: the batch is damaged, or the broker refuses it.
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
        raise UndecodableBatch(error.__name__, position + 1)
    # Version 11 has the preferred replica between the aborted transactions and the records.
    aborted = details[1] if response.API_VERSION >= 11 else details[-2]  # noqa: PLR2004
    if not details[-1] and position < (stable_end if committed else end):
        raise UndecodableBatch("missing", position + 1)
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
