"""Pages: one more than asked for tells that the list goes on."""

from uuid import UUID

import msgspec
import pytest

from govid.bus import Page


class Item(msgspec.Struct, frozen=True):
    id: UUID


ITEMS = [Item(UUID(int=n)) for n in range(3)]


@pytest.mark.parametrize(
    ("found", "items", "cursor"),
    [
        (ITEMS[:0], ITEMS[:0], None),
        (ITEMS[:2], ITEMS[:2], None),
        (ITEMS[:3], ITEMS[:2], UUID(int=1)),
    ],
)
def test_a_page_ends_where_its_limit_says(
    found: list[Item], items: list[Item], cursor: UUID | None
) -> None:
    page = Page.from_items(found, 2)
    assert (page.items, page.cursor) == (items, cursor)


def test_the_link_leads_behind_the_last_item() -> None:
    assert Page.from_items(ITEMS, 2).headers("/api/things") == {
        "Link": '</api/things?limit=2&cursor=00000000-0000-0000-0000-000000000001>; rel="next"'
    }


def test_the_last_page_links_to_nothing() -> None:
    assert Page.from_items(ITEMS, 3).headers("/api/things") == {}
