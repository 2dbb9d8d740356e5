"""A small application behind the real edge, with a recorder of what the edge reports."""

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
from litestar import Litestar, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from prometheus_client import CollectorRegistry

from govid.bus import ErrorKind, GovidError, SystemClock
from govid.bus.events import AccessDecided, RequestReceived
from govid.gateway.http.connection_limits import ConnectionLimits
from govid.gateway.http.edge import EdgeMiddleware
from govid.gateway.http.json_body import StrictRequest
from govid.gateway.http.problems import handle_error
from govid.gateway.http.request_info import RequestInfo

CANARY = "canary-7f3a"


class EdgeRecorder:
    """Records what the edge reports."""

    def __init__(self) -> None:
        self.activities: list[Any] = []
        self.decisions: list[AccessDecided] = []
        self.lines: list[tuple[str, int]] = []
        self.routes: list[tuple[str | None, int]] = []

    def publish_activity(self, event: RequestReceived) -> None:
        self.activities.append(event)

    def publish_access(self, event: AccessDecided) -> None:
        self.decisions.append(event)

    def count_request(self, exchange: RequestInfo, seconds: float) -> None:
        self.routes.append((exchange.route, exchange.status))

    def write_request(self, exchange: RequestInfo, duration_ms: float) -> None:
        self.lines.append((exchange.path, exchange.status))


class Busy(GovidError):
    """Come back later."""

    code = "busy"
    kind = ErrorKind.BUSY


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body."""

    values: list[int]


@get("/", public="test")
async def fine() -> dict[str, str]:
    return {"it": "works"}


@get("/broken", public="test")
async def broken() -> None:
    raise RuntimeError(CANARY)


@get("/busy", public="test")
async def busy() -> None:
    raise Busy(retry_after_seconds=7)


@get("/health", public="test")
async def health() -> dict[str, str]:
    return {}


@post("/numbers", status_code=200, public="test")
async def numbers(data: JSONBody[Numbers]) -> int:
    return sum(data.values)


def build_edge(
    recorder: EdgeRecorder, *more: Any, proxies: Sequence[str] = (), **options: Any
) -> EdgeMiddleware:
    """Return the edge around a small application."""
    app = Litestar(
        [fine, broken, busy, health, numbers, *more],
        request_class=StrictRequest,
        exception_handlers={HTTPException: handle_error, Exception: handle_error},
        openapi_config=None,
        logging_config=None,
        **options,
    )
    return EdgeMiddleware(
        app,
        logs=recorder,
        request_log=recorder,
        metrics=recorder,
        limits=ConnectionLimits(CollectorRegistry(), total=100, per_network=100),
        clock=SystemClock(),
        methods={route.path_format: route.methods for route in app.routes},
        proxies=proxies,
    )


def client(app: Any) -> httpx.AsyncClient:
    """Return a client that calls *app* directly."""
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://govid")


def asked_for(path: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> RequestInfo:
    """Return a GET of *path* that came from this machine."""
    return RequestInfo(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": list(headers),
            "client": ("127.0.0.1", 40_000),
            "http_version": "1.1",
            "scheme": "http",
        }
    )
