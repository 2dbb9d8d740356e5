"""Long lists in pages, each beginning where the one before it ended."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000


class Identified(Protocol):
    """Something with an id, by which its list is ordered."""

    @property
    def id(self) -> UUID:
        """Return the id."""


V = TypeVar("V", bound=Identified)


class Page(msgspec.Struct, Generic[V], frozen=True, kw_only=True):
    """One page. `cursor` is the id after which the next one begins, None where there is none."""

    items: Sequence[V]
    cursor: UUID | None

    @classmethod
    def of(cls, found: Sequence[V], limit: int) -> "Page[V]":
        """Make a page of *limit* items; *found* holds one more where the list goes on."""
        items = found[:limit]
        return cls(items=items, cursor=items[-1].id if len(found) > limit else None)

    def headers(self, path: str) -> dict[str, str]:
        """Return the `Link` to the next page of the list at *path*, if there is one.

        Without scheme and host: behind a proxy, only the client knows them.

        Source: RFC 8288.
        """
        if self.cursor is None:
            return {}
        return {"Link": f'<{path}?limit={len(self.items)}&cursor={self.cursor}>; rel="next"'}
