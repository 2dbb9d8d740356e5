"""Decompresses record batches within a bound: a few kilobytes may stand for gigabytes.

Source: Kafka protocol guide, "Record Batch"; snappy batches of Java are in xerial's blocks.
"""

import gzip
import io
import mmap
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import ModuleType

import cramjam

MAX_DECODED_BYTES = 64 * 1024 * 1024
"""The largest batch after decompression. A producer's batch has 1 MiB by default."""
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16


class DecodedTooLarge(ValueError):
    """The decompressed data has more bytes than are permitted."""


class UnknownCodec(ValueError):
    """The number stands for no codec."""


def decompress(data: bytes, codec: int, limit: int = MAX_DECODED_BYTES) -> bytes:
    """Return *data* without the compression *codec*, in at most *limit* bytes.

    Raises:
        UnknownCodec: Kafka has no codec of this number.
        Exception: the data is damaged or too large; each library has errors of its own.
    """
    decoder = _DECODERS.get(codec)
    if decoder is None:
        raise UnknownCodec
    return decoder(data, limit)


def bound_aiokafka() -> None:
    """Let aiokafka decompress within the same bound, in this process and from now on.

    It has no setting for that (0.14), and decompresses a batch as soon as it is asked for records.
    Its modules look their decoders up by name at each call. Those that are compiled and those that
    stand in for them are meant both.
    """
    for module in _MODULES:
        for name, codec in _NAMES.items():
            if hasattr(module, name):
                setattr(module, name, partial(decompress, codec=codec))


def _plain(data: bytes, limit: int) -> bytes:
    del limit
    return data


def _gzip(data: bytes, limit: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as reader:
        # One byte more tells data that ends at the limit from data that goes on.
        found = reader.read(limit + 1)
    if len(found) > limit:
        raise DecodedTooLarge
    return found


def _by_stream(into: Callable[[bytes, mmap.mmap], int]) -> Callable[[bytes, int], bytes]:
    def decompress_stream(data: bytes, limit: int) -> bytes:
        # The library fails where the output is full. Only pages that are written cost memory.
        with mmap.mmap(-1, limit) as output:
            return output[: into(data, output)]

    return decompress_stream


def _snappy(data: bytes, limit: int) -> bytes:
    if not data.startswith(_XERIAL_MAGIC):
        return _snappy_block(data, limit)
    found, place = [], _XERIAL_HEADER_BYTES
    while place < len(data):
        start = place + 4
        place = start + int.from_bytes(data[place:start])
        if place > len(data):
            raise ValueError("the data ends within a block")
        found.append(_snappy_block(data[start:place], limit))
        limit -= len(found[-1])
    return b"".join(found)


def _snappy_block(data: bytes, limit: int) -> bytes:
    # A block begins with its length, which the library allocates and does not exceed.
    if cramjam.snappy.decompress_raw_len(data) > limit:
        raise DecodedTooLarge
    return bytes(cramjam.snappy.decompress_raw(data))


_DECODERS: Mapping[int, Callable[[bytes, int], bytes]] = {
    0: _plain,
    1: _gzip,
    2: _snappy,
    3: _by_stream(cramjam.lz4.decompress_into),
    4: _by_stream(cramjam.zstd.decompress_into),
}

_NAMES: Mapping[str, int] = {
    "gzip_decode": 1,
    "snappy_decode": 2,
    "lz4_decode": 3,
    "zstd_decode": 4,
}


def _modules() -> Sequence[ModuleType]:
    found = []
    for place in ("record", "record._crecords"):
        for name in ("default_records", "legacy_records"):
            # Where aiokafka was not compiled, the modules in Python do the work.
            with suppress(ImportError):
                found.append(import_module(f"aiokafka.{place}.{name}"))
    return found


_MODULES = _modules()
