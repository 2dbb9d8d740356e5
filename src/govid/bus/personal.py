"""Marks what is personal, once, where a struct declares it.

The mark is for whoever shows something: logs, commands, refusals. It changes nothing on the wire
and nothing in a description.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields

T = TypeVar("T")

PERSONAL = Meta(extra={"personal": True})

Personal = Annotated[T, PERSONAL]
"""`email: Personal[str]`: names a person, tells of one, or opens what is theirs."""


@lru_cache(maxsize=512)
def personal_members(struct: type[Struct]) -> frozenset[str]:
    """Return the members of *struct* that are personal, by their names on the wire."""
    hints = get_type_hints(struct, include_extras=True)
    return frozenset(
        field.encode_name for field in fields(struct) if PERSONAL in _marks(hints[field.name])
    )


def _marks(annotation: Any) -> Iterator[Any]:
    """Yield what is said about *annotation*, and about the parts of it."""
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from _marks(part)
