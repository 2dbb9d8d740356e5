"""A batch is decompressed within a bound, by every codec of Kafka."""

import gzip
import tracemalloc
from collections.abc import Callable
from itertools import product

import cramjam
import pytest
from aiokafka import codec as aiokafka_codecs
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from govid.bus.kafka.batch_decoding import (
    MAX_DECODED_BYTES,
    UndecodableBatch,
    UnknownCodec,
    decode_batch,
    decompress,
    limit_aiokafka_decompression,
)

MIB = 1024 * 1024
CODECS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip": (1, gzip.compress),
    "snappy": (2, lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "snappy blocks": (2, aiokafka_codecs.snappy_encode),
    "lz4": (3, aiokafka_codecs.lz4_encode),
    "zstd": (4, aiokafka_codecs.zstd_encode),
}
TEXT = b"a notice of death " * 5_000


@pytest.mark.parametrize(("name", "size"), [*product(CODECS, [0, 1, len(TEXT)])])
def test_a1_data_up_to_the_limit_is_decompressed(name: str, size: int) -> None:
    codec, encode = CODECS[name]
    assert decompress(encode(TEXT[:size]), codec, max(size, 1)) == TEXT[:size]


@pytest.mark.parametrize(("name", "limit"), [*product(CODECS, [1, 40_000, len(TEXT) - 1])])
def test_a1_data_over_the_limit_is_refused(name: str, limit: int) -> None:
    codec, encode = CODECS[name]
    with pytest.raises((ValueError, cramjam.DecompressionError)):
        decompress(encode(TEXT), codec, limit)


@pytest.mark.parametrize(("name", "cut"), [*product(CODECS, [1, 5, 20])])
def test_a1_data_that_ends_early_is_refused(name: str, cut: int) -> None:
    codec, encode = CODECS[name]
    with pytest.raises((ValueError, EOFError, cramjam.DecompressionError)):
        decompress(encode(TEXT)[:-cut], codec)


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_a1_a_number_without_a_codec_is_refused(codec: int) -> None:
    with pytest.raises(UnknownCodec):
        decompress(b"", codec)


def test_a1_gzip_members_are_joined_within_one_limit() -> None:
    data = gzip.compress(b"one ") + gzip.compress(b"two")
    assert decompress(data, 1, 7) == b"one two"
    with pytest.raises(ValueError, match=r"^$"):
        decompress(data, 1, 6)


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a1_a_batch_of_some_kilobytes_does_not_become_gigabytes(codec: int) -> None:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=200 * MIB,
    )
    builder.append(0, timestamp=1, key=None, value=bytes(65 * MIB), headers=[])
    data = bytes(builder.build())
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableBatch) as raised:
            decode_batch(data, "t", 0, 0, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (raised.value.reason, raised.value.next_offset) == ("compression", 1)
    assert peak < 140 * MIB


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a1_the_library_decompresses_within_the_limit_too(codec: int) -> None:
    limit_aiokafka_decompression()
    assert _lengths(codec, MAX_DECODED_BYTES - MIB) == [MAX_DECODED_BYTES - MIB]
    with pytest.raises((ValueError, cramjam.DecompressionError)):
        _lengths(codec, MAX_DECODED_BYTES)


def _lengths(codec: int, size: int) -> list[int]:
    """Return the lengths of values as aiokafka reads them: of a batch with one of *size* bytes."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2 * size)
    builder.append(0, 0, None, bytes(size), [])
    batch = MemoryRecords(bytes(builder.build())).next_batch()
    return [len(record.value) for record in batch]
