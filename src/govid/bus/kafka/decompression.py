"""Decompresses record batches up to a size limit: a few kilobytes may decompress to gigabytes.

Source: Kafka protocol guide, "Record Batch"; Java clients write snappy in xerial blocks.
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


def _plain(data: bytes, limit: int) -> bytes:
    del limit
    return data


def _gzip(data: bytes, limit: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as reader:
        # One byte more distinguishes data that ends at the limit from longer data.
        found = reader.read(limit + 1)
    if len(found) > limit:
        raise DecodedTooLarge
    return found


def _by_stream(into: Callable[[bytes, mmap.mmap], int]) -> Callable[[bytes, int], bytes]:
    def decompress_stream(data: bytes, limit: int) -> bytes:
        # The library fails if the output is full. Only pages that are written use memory.
        with mmap.mmap(-1, limit) as output:
            return output[: into(data, output)]

    return decompress_stream


def _snappy(data: bytes, limit: int) -> bytes:
    if not data.startswith(_XERIAL_MAGIC):
        return _snappy_block(data, limit)
    found, index = [], _XERIAL_HEADER_BYTES
    while index < len(data):
        start = index + 4
        index = start + int.from_bytes(data[index:start])
        if index > len(data):
            raise ValueError("the data ends within a block")
        found.append(_snappy_block(data[start:index], limit))
        limit -= len(found[-1])
    return b"".join(found)


def _snappy_block(data: bytes, limit: int) -> bytes:
    # A block begins with its length; the library allocates that much and never exceeds it.
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
    for package in ("record", "record._crecords"):
        for name in ("default_records", "legacy_records"):
            # If aiokafka was not compiled, only its modules in Python exist.
            with suppress(ImportError):
                found.append(import_module(f"aiokafka.{package}.{name}"))
    return found


_MODULES = _modules()
