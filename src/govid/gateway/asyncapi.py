"""The description of the topics at `/asyncapi`."""

from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from govid.bus.asyncapi import render


def page() -> HTTPRouteHandler:
    """Return the route; the description is made once, as nothing in it ever changes."""
    body = render()

    @get(
        "/asyncapi",
        public="the description of the topics is no secret",
        summary="Describe the topics, as AsyncAPI",
        tags=["machine pages"],
        media_type="application/json",
        sync_to_thread=False,
        raises=[],
        responses={200: ResponseSpec(dict[str, Any], generate_examples=False)},
    )
    def asyncapi() -> Response[bytes]:
        """Return what `govid asyncapi` prints."""
        return Response(body, media_type="application/json")

    return asyncapi
