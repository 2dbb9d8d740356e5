"""What stands at `/`."""

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State

from govid import __version__

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
    """A word to whoever looks in."""

    message: str
    version: str
    documents: str


@get(
    "/",
    public="it says what this is, and nothing else",
    summary="Say what this is",
    tags=["machine pages"],
    sync_to_thread=False,
    raises=[],
)
def welcome(request: Request[object, object, State]) -> Response[Welcome | str]:
    """Welcome the caller: in JSON, unless HTML is preferred."""
    wanted = request.accept.best_match([MediaType.JSON, MediaType.HTML], default=MediaType.JSON)
    # `*/*` matches both and expresses no preference: programs send it, and want JSON.
    if wanted == MediaType.HTML and "text/html" in request.headers.get("accept", ""):
        return Response(_PAGE.format(version=__version__), media_type=MediaType.HTML)
    return Response(
        Welcome(message="Welcome to govid", version=__version__, documents="/docs"),
        media_type=MediaType.JSON,
    )
