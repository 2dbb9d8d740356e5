"""Serves the AsyncAPI document at `/asyncapi`."""

from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from govid.bus.asyncapi import render_document


def build_asyncapi_route() -> HTTPRouteHandler:
    """Return the route; the document is rendered once, because it never changes."""
    body = render_document()

    @get(
        "/asyncapi",
        public="the description of the topics is no secret",
        summary="Get the AsyncAPI document of the topics",
        tags=["machine pages"],
        media_type="application/json",
        sync_to_thread=False,
        raises=[],
        responses={200: ResponseSpec(dict[str, Any], generate_examples=False)},
    )
    def asyncapi() -> Response[bytes]:
        """Return the document that `govid asyncapi` prints."""
        return Response(body, media_type="application/json")

    return asyncapi
