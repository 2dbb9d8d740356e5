"""Serves Swagger UI at `/docs` as the viewer of the OpenAPI document.

Its files come from the package that ships them, and nothing is loaded from other hosts. The Python
code of that package is never imported, and the framework that it belongs to never runs.
"""

from importlib.util import find_spec
from pathlib import Path

from litestar import MediaType, Response, Router, get
from litestar.handlers import HTTPRouteHandler
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


class _ViewerRouter(Router):
    """The pages below `/docs`, without those that Litestar adds by itself.

    One answers 404 in HTML, but every 404 of govid is a problem document. One is the OpenAPI
    document, which is incomplete there. The page of a render plugin renders the whole document on
    the event loop at its first request, even if it shows none of it.
    """

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        """Add a handler, unless it is one of the framework's pages."""
        if getattr(getattr(value, "fn", None), "__module__", "").startswith("litestar._openapi"):
            return []
        return super().register(value)


def build_viewer_router(public: str) -> Router:
    """Return the viewer's pages; *public* is the reason why they need no permission."""
    folder = _find_assets()
    files = [
        _build_file_route(f"/{name}", (folder / name).read_bytes(), kind)
        for name, kind in _ASSETS.items()
    ]
    return _ViewerRouter(
        "/docs",
        route_handlers=[
            _render_page,
            *files,
            _build_file_route("/start.js", _START, "text/javascript"),
        ],
        include_in_schema=False,
        opt={"public": public},
        response_headers={"Content-Security-Policy": POLICY},
    )


@get("/", media_type=MediaType.HTML, sync_to_thread=False)
def _render_page() -> bytes:
    """Return the page, which fetches the document itself."""
    return _PAGE


def _build_file_route(path: str, content: bytes, media_type: str) -> HTTPRouteHandler:
    @get(path, media_type=media_type, sync_to_thread=False, cache_control=None)
    def serve() -> Response[bytes]:
        return Response(content, headers={"Cache-Control": "public, max-age=3600"})

    return serve


def _find_assets() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {_PACKAGE} is not installed")
    return Path(spec.origin).parent / "dist"
