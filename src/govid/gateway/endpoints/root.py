"""Serves the start page at `/` and the AsyncAPI document at `/asyncapi`."""

from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from govid import __version__
from govid.bus.asyncapi import render_document

_PAGE = """<!doctype html>
<html lang="en">
<title>govid</title>
<h1>govid</h1>
<p>A citizen-identity hub for public services, version {version}.</p>
<ul>
<li><a href="/docs">API documents</a></li>
<li><a href="/health">Health</a></li>
</ul>
</html>
"""


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The name and version of the service, and the path of its API documents."""

    message: str
    version: str
    documents: str


@get(
    "/",
    public="it names the service and its version, nothing else",
    summary="Get the name and version of the service",
    tags=["machine pages"],
    sync_to_thread=False,
    raises=[],
)
def welcome(request: Request[object, object, State]) -> Response[Welcome | str]:
    """Return the name and version, in JSON unless HTML is preferred."""
    wanted = request.accept.best_match([MediaType.JSON, MediaType.HTML], default=MediaType.JSON)
    # `*/*` matches both and expresses no preference: programs send it, and expect JSON.
    if wanted == MediaType.HTML and "text/html" in request.headers.get("accept", ""):
        return Response(_PAGE.format(version=__version__), media_type=MediaType.HTML)
    return Response(
        Welcome(message="Welcome to govid", version=__version__, documents="/docs"),
        media_type=MediaType.JSON,
    )


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
