"""A batch is decoded, or what is wrong with it is said, with the place where the next begins."""

from collections.abc import Callable

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from govid.bus.kafka.batch_decoding import (
    AbortedTransaction,
    DecodedBatch,
    UndecodableBatch,
    decode_batch,
)

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
HEADERS = [("ce_id", b"1"), ("empty", None)]
LENGTH = slice(8, 12)
CODEC = 22
DELTA = slice(23, 27)
RECORDS = 61


def batch(codec: str = "none", *, base: int = 10, records: int = 3, producer: int = -1) -> bytes:
    """Return a batch as a broker would store it."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=CODECS[codec],
        is_transactional=producer >= 0,
        producer_id=producer,
        producer_epoch=0 if producer >= 0 else -1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for number in range(records):
        builder.append(
            number, timestamp=1_000 + number, key=b"k", value=b"value " * 20, headers=HEADERS
        )
    data = bytearray(builder.build())
    data[:8] = base.to_bytes(8)
    return bytes(data)


def decode(data: bytes, position: int = 10, **more: int) -> DecodedBatch | None:
    return decode_batch(data, "t", 3, position, more.get("end", 1_000))


def sealed(data: bytearray) -> bytes:
    """Return *data* with the checksum that it should have."""
    data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4)
    return bytes(data)


@pytest.mark.parametrize("codec", CODECS)
def test_a1_a_sound_batch_is_decoded(codec: str) -> None:
    decoded = decode(batch(codec))
    assert decoded is not None
    assert decoded.next_offset == 13
    first, _, last = decoded.records
    assert (first.topic, first.partition, first.offset, first.timestamp) == ("t", 3, 10, 1_000)
    assert (last.offset, last.timestamp) == (12, 1_002)
    assert (last.key, last.value, last.headers) == (b"k", b"value " * 20, HEADERS)


@pytest.mark.parametrize(("position", "offsets"), [(10, [10, 11, 12]), (11, [11, 12]), (12, [12])])
def test_a1_records_before_the_position_are_left_out(position: int, offsets: list[int]) -> None:
    decoded = decode(batch("lz4"), position)
    assert decoded is not None
    assert [one.offset for one in decoded.records] == offsets


def test_a1_no_bytes_are_no_batch() -> None:
    assert decode(b"") is None


def flipped(place: int) -> Callable[[bytearray], bytes]:
    def damage(data: bytearray) -> bytes:
        data[place] ^= 0x10
        return bytes(data)

    return damage


def of_codec(number: int) -> Callable[[bytearray], bytes]:
    def damage(data: bytearray) -> bytes:
        data[CODEC] = number
        return sealed(data)

    return damage


def with_many_headers(data: bytearray) -> bytes:
    data[RECORDS] = 0x7F
    return sealed(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flipped(RECORDS + 30), "checksum"),
        (flipped(17), "checksum"),
        (flipped(CODEC), "checksum"),
        (flipped(16), "format"),
        (lambda data: bytes(data[:40]), "truncated"),
        (lambda data: bytes(data[:100]), "truncated"),
        (of_codec(5), "codec"),
        (of_codec(7), "codec"),
        (of_codec(1), "compression"),
        (of_codec(2), "compression"),
        (of_codec(3), "compression"),
        (of_codec(4), "compression"),
        (with_many_headers, "structure"),
    ],
)
def test_a1_what_is_wrong_with_a_batch_is_said(
    damage: Callable[[bytearray], bytes], reason: str
) -> None:
    with pytest.raises(UndecodableBatch) as raised:
        decode(damage(bytearray(batch())))
    assert raised.value.reason == reason
    assert "value" not in str(raised.value)


@pytest.mark.parametrize(
    ("delta", "follower", "end", "next_offset"),
    [
        (2, None, 1_000, 13),
        (2, 17, 1_000, 17),
        (2, 9, 1_000, 13),
        (50_000, None, 1_000, 11),
        (50_000, 13, 1_000, 13),
        (-5, None, 1_000, 11),
        (50_000, 60_000, 1_000, 11),
    ],
)
def test_a1_where_the_next_batch_begins_is_believed_if_it_can_be_so(
    delta: int, follower: int | None, end: int, next_offset: int
) -> None:
    data = bytearray(batch())
    data[DELTA] = delta.to_bytes(4, signed=True)
    data[-1] ^= 0x10
    behind = b"" if follower is None else batch(base=follower)
    with pytest.raises(UndecodableBatch) as raised:
        decode(bytes(data) + behind, end=end)
    assert (raised.value.reason, raised.value.next_offset) == ("checksum", next_offset)


@pytest.mark.parametrize("base", [5, 1_000, 1 << 40])
def test_a1_an_offset_that_cannot_be_is_a_damaged_batch(base: int) -> None:
    # Kafka's checksum does not cover the offset.
    with pytest.raises(UndecodableBatch) as raised:
        decode(batch(base=base))
    assert (raised.value.reason, raised.value.next_offset) == ("structure", 11)


@pytest.mark.parametrize(
    ("aborted", "count"),
    [
        ([], 3),
        ([AbortedTransaction(7, 10)], 0),
        ([AbortedTransaction(7, 2)], 0),
        ([AbortedTransaction(7, 11)], 3),
        ([AbortedTransaction(8, 10)], 3),
    ],
)
def test_a5_records_of_an_aborted_transaction_are_left_out(
    aborted: list[AbortedTransaction], count: int
) -> None:
    decoded = decode_batch(batch(producer=7), "t", 3, 10, 1_000, aborted)
    assert decoded is not None
    assert (len(decoded.records), decoded.next_offset) == (count, 13)
