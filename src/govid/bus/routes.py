"""The words in which departments describe their routes: a list is paged and an answer shown alike.

A door of its own, because it is all of the bus that knows the web framework.
"""

from typing import Annotated, Any
from uuid import UUID

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from govid.bus.paging import MAX_LIMIT

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Records on a page.")]
Cursor = Annotated[
    UUID | None, QueryParameter(description="Where the page begins, as the `Link` header has it.")
]


def answer_of(shape: Any, description: str, shown: list[Example]) -> ResponseSpec:
    """Describe an answer. Examples that are made up at random would be as good as none."""
    return ResponseSpec(shape, description=description, examples=shown, generate_examples=False)
