"""A viewer of the API's description, at `/docs`, that loads nothing from other hosts.

It is Swagger UI, taken as files from the package that ships it: that package's Python code is
never imported, and the framework that it belongs to never runs.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.routes import BaseRoute
from litestar.types import ControllerRouterHandler

_PACKAGE = "flask_swagger_ui"
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>govid: API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="viewer"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = b"""window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  validatorUrl: null,
});
"""
# Swagger UI styles itself by attributes and draws its icons from data URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Viewer(OpenAPIRenderPlugin):
    """The page itself."""

    def __init__(self) -> None:
        """Stand at the router's own path."""
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(
        self,
        request: Request[Any, Any, Any],  # noqa: ARG002 - the signature is the framework's
        openapi_schema: Mapping[str, Any],  # noqa: ARG002
    ) -> bytes:
        """Return the page; it fetches the document by itself."""
        return _PAGE


class _Pages(Router):
    """The pages below `/docs`, without two that Litestar adds by itself.

    One says in HTML that something is not there: a 404 of govid is a problem document wherever it
    happens. The other is the API's description, which is incomplete here.
    """

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        """Add a handler, unless it is one of those."""
        name = getattr(getattr(value, "fn", None), "__name__", "")
        if name == "handle_schema_path_not_found" or "/openapi.json" in getattr(value, "paths", ()):
            return []
        return super().register(value)


def router(public: str) -> Router:
    """Return the pages; *public* says why they need no permission."""
    folder = _folder()
    files = [
        _file(f"/{name}", (folder / name).read_bytes(), kind) for name, kind in _ASSETS.items()
    ]
    return _Pages(
        "/docs",
        route_handlers=[*files, _file("/start.js", _START, "text/javascript")],
        include_in_schema=False,
        opt={"public": public},
        response_headers={"Content-Security-Policy": POLICY},
    )


def _file(path: str, content: bytes, media_type: str) -> HTTPRouteHandler:
    @get(path, media_type=media_type, sync_to_thread=False, cache_control=None)
    def serve() -> Response[bytes]:
        return Response(content, headers={"Cache-Control": "public, max-age=3600"})

    return serve


def _folder() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {_PACKAGE} is not installed")
    return Path(spec.origin).parent / "dist"
