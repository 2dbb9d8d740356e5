"""Marks personal fields where a struct declares them, and makes keyed pseudonyms.

Logs, commands and error messages use the mark to mask values. It changes neither the encoding of a
struct nor its schema. A pseudonym is a stable substitute where an identifier must not be visible.
"""

import hashlib
import hmac
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields

T = TypeVar("T")

PERSONAL = Meta(extra={"personal": True})

Personal = Annotated[T, PERSONAL]
"""`email: Personal[str]`: the value identifies or describes a person, or grants access."""


@lru_cache(maxsize=512)
def personal_field_names(struct: type[Struct]) -> frozenset[str]:
    """Return the personal members of *struct*, by their encoded names."""
    hints = get_type_hints(struct, include_extras=True)
    return frozenset(
        field.encode_name for field in fields(struct) if PERSONAL in _metadata(hints[field.name])
    )


def _metadata(annotation: Any) -> Iterator[Any]:
    """Yield the metadata of *annotation* and of its type arguments."""
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from _metadata(part)


class RedactedStruct(Struct, frozen=True):
    """Base of every struct that may hold personal data or secrets: its repr shows no values (I9).

    A subclass names in `repr_members` the members that identify an instance and tell nothing else.
    """

    repr_members: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """Return the name of the class and the values of `repr_members`."""
        values = "".join(f" {getattr(self, name)}" for name in self.repr_members)
        return f"<{type(self).__name__}{values}>"


class PseudonymGenerator:
    """Replaces a personal value by its HMAC (RFC 2104), which needs the secret key to compute.

    A plain hash would not hide a National Insurance number: there are few enough to try them all.
    """

    def __init__(self, key: bytes) -> None:
        """Use *key*, which has at least 32 bytes in production."""
        self._key = key

    def for_value(self, value: str) -> str:
        """Return the pseudonym of *value*: 32 hexadecimal digits (128 bits)."""
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:32]
