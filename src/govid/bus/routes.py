"""Query parameters and response descriptions that the routes of all departments share.

The only part of the bus that imports the web framework.
"""

from typing import Annotated, Any
from uuid import UUID

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from govid.bus.paging import MAX_LIMIT

PageLimit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Records on a page.")]
PageCursor = Annotated[
    UUID | None, QueryParameter(description="Where the page begins, from the `Link` header.")
]


def describe_response(shape: Any, description: str, examples: list[Example]) -> ResponseSpec:
    """Describe a response with its examples. Without them Litestar would generate random ones."""
    return ResponseSpec(shape, description=description, examples=examples, generate_examples=False)
