"""Long lists in pages, each beginning where the one before it ended."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus.shared.plain_text import neutralise

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
PAGE_TEXT_BYTES = 512 * 1024
"""How many bytes of text a page may hold before its last item. In JSON that is 1 MiB at most.

Quotation marks, backslashes, line feeds and tabs are doubled there; no other character grows.
"""


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
    limit: int

    @classmethod
    def of(cls, found: Sequence[V], limit: int, *, goes_on: bool = False) -> "Page[V]":
        """Make a page of at most *limit* items.

        The list goes on if *found* holds more of them, or if the caller says so.
        """
        items = found[:limit]
        goes_on = goes_on or len(found) > limit
        return cls(items=items, cursor=items[-1].id if goes_on and items else None, limit=limit)

    def headers(self, path: str) -> dict[str, str]:
        """Return the `Link` to the next page of the list at *path*, if there is one.

        Without scheme and host: behind a proxy, only the client knows them.

        Source: RFC 8288.
        """
        if self.cursor is None:
            return {}
        return {"Link": f'<{path}?limit={self.limit}&cursor={self.cursor}>; rel="next"'}


def bounded(
    statement: Select[*tuple[Any, ...]], size: ColumnElement[int], limit: int
) -> Select[*tuple[Any, ...]]:
    """Limit *statement* to *limit* rows, and to `PAGE_TEXT_BYTES` of text before the last one.

    The first selected column is the id, by which the rows are ordered; *size* is the number of
    bytes of a row's text. The first row is always returned. Each row ends with a column `next_id`:
    the id of the row behind it, or null behind the last of all.
    """
    identifier = next(iter(statement.selected_columns))
    rows = (
        statement.add_columns(
            (func.sum(size).over(order_by=identifier, rows=(None, 0)) - size).label("bytes_before"),
            func.lead(identifier).over(order_by=identifier).label("next_id"),
        )
        .order_by(identifier)
        .limit(limit)
        .subquery("page")
    )
    kept = [column for column in rows.c if column.name != "bytes_before"]
    return select(*kept).where(rows.c.bytes_before < PAGE_TEXT_BYTES).order_by(kept[0])


def page_of(rows: Sequence[Row[Any]], view: Callable[[dict[str, Any]], V], limit: int) -> Page[V]:
    """Make a page of the *rows* of a `bounded` statement; *view* is given one without `next_id`."""
    found = [row._asdict() for row in rows]
    goes_on = bool(found) and found[-1]["next_id"] is not None
    items = [view({name: one[name] for name in one if name != "next_id"}) for one in found]
    return Page.of(items, limit, goes_on=goes_on)


async def stream_pages(
    reads: AsyncEngine, statement: Select[*tuple[Any, ...]], size: ColumnElement[int]
) -> AsyncIterator[Sequence[dict[str, Any]]]:
    """Yield all rows of *statement*, page after page; no connection is held between two pages.

    For *statement* and *size* see `bounded`.
    """
    identifier = next(iter(statement.selected_columns))
    after: UUID | None = None
    while True:
        rest = statement if after is None else statement.where(identifier > after)
        async with reads.connect() as connection:
            rows = (await connection.execute(bounded(rest, size, MAX_LIMIT))).all()
        page = [neutralise(row._asdict()) for row in rows]
        following = [row.pop("next_id") for row in page]
        if page:
            yield page
        if not following or following[-1] is None:
            return
        after = page[-1][identifier.name]
