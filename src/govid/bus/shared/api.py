"""Cursor pagination, and the query parameters and response descriptions that all routes share.

A list is returned in pages, each of which begins after the last id of the one before. A cursor is
that id, as it is. It is checked only for being a UUID. That is enough, because each list is
restricted to the account of the caller: the id of another account's item reveals nothing. The
query of each repository adds the condition `id > after` itself.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus.shared.plain_text import replace_control_characters

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
PAGE_TEXT_BYTES = 512 * 1024
"""How many bytes of text a page may have before its last item. In JSON that is at most 1 MiB:
quotation marks, backslashes, line feeds and tabs are doubled there, no other character grows.
"""


class HasId(Protocol):
    """An item with the id by which its list is ordered."""

    @property
    def id(self) -> UUID:
        """Return the id."""


V = TypeVar("V", bound=HasId)


class Page(msgspec.Struct, Generic[V], frozen=True, kw_only=True):
    """One page. `cursor` is the id after which the next page begins, None on the last page."""

    items: Sequence[V]
    cursor: UUID | None
    limit: int

    @classmethod
    def from_items(cls, found: Sequence[V], limit: int, *, has_more: bool = False) -> "Page[V]":
        """Build a page of at most *limit* items.

        A next page exists if *found* has more than *limit* items, or if *has_more*.
        """
        items = found[:limit]
        has_more = has_more or len(found) > limit
        return cls(items=items, cursor=items[-1].id if has_more and items else None, limit=limit)

    def headers(self, path: str) -> dict[str, str]:
        """Return the `Link` header with the next page of the list at *path*, if there is one.

        The link has no scheme and host: behind a proxy only the client knows them.

        Source: RFC 8288.
        """
        if self.cursor is None:
            return {}
        return {"Link": f'<{path}?limit={self.limit}&cursor={self.cursor}>; rel="next"'}


def limit_page(
    statement: Select[*tuple[Any, ...]], size: ColumnElement[int], limit: int
) -> Select[*tuple[Any, ...]]:
    """Limit *statement* to *limit* rows, and to `PAGE_TEXT_BYTES` of text before the last one.

    The first selected column is the id, by which the rows are ordered; *size* is the number of
    bytes of a row's text. The first row is always returned. The last column of each row is
    `next_id`: the id of the next row, or null for the last row of the list.
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


def build_page(
    rows: Sequence[Row[Any]], view: Callable[[dict[str, Any]], V], limit: int
) -> Page[V]:
    """Build a page from *rows* of a `limit_page` statement; *view* gets one without `next_id`."""
    found = [row._asdict() for row in rows]
    has_more = bool(found) and found[-1]["next_id"] is not None
    items = [view({name: one[name] for name in one if name != "next_id"}) for one in found]
    return Page.from_items(items, limit, has_more=has_more)


async def stream_pages(
    reads: AsyncEngine, statement: Select[*tuple[Any, ...]], size: ColumnElement[int]
) -> AsyncIterator[Sequence[dict[str, Any]]]:
    """Yield all rows of *statement*, page after page; no connection is held between two pages.

    For *statement* and *size* see `limit_page`.
    """
    identifier = next(iter(statement.selected_columns))
    after: UUID | None = None
    while True:
        rest = statement if after is None else statement.where(identifier > after)
        async with reads.connect() as connection:
            rows = (await connection.execute(limit_page(rest, size, MAX_LIMIT))).all()
        page = [replace_control_characters(row._asdict()) for row in rows]
        next_ids = [row.pop("next_id") for row in page]
        if page:
            yield page
        if not next_ids or next_ids[-1] is None:
            return
        after = page[-1][identifier.name]


PageLimit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Records on a page.")]
PageCursor = Annotated[
    UUID | None, QueryParameter(description="Where the page begins, from the `Link` header.")
]


def describe_response(shape: Any, description: str, examples: list[Example]) -> ResponseSpec:
    """Describe a response with its examples. Without them Litestar would generate random ones."""
    return ResponseSpec(shape, description=description, examples=examples, generate_examples=False)
