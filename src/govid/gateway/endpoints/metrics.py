"""Counts HTTP requests and serves all metrics of the process at `/metrics`."""

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from platform import python_version
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from govid import __version__
from govid.gateway.http.request_info import RequestInfo, get_request_info

MEDIA_TYPE = "text/plain; version=0.0.4"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED_ROUTE = "unmatched"
"""The route label of requests without a route: a path chosen by a client is never a label."""

SIGN_IN = ("POST", "/api/auth/login")
SIGN_IN_OUTCOMES = {
    200: "signed_in",
    401: "refused",
    403: "blocked",
    422: "malformed",
    429: "throttled",
    503: "unavailable",
}

Inc = Callable[[], None]
Observe = Callable[[float], None]


class HttpMetrics:
    """Counts requests. Label lookups are cached per route, because every request is counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics in *registry*."""
        self._requests = Counter(
            "govid_http_requests",
            "Requests that were answered, or aborted by the client (499).",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "govid_http_request_seconds",
            "Time from the request's headers to the end of the answer.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._sign_ins = Counter(
            "govid_sign_ins", "Attempts to sign in.", ["outcome"], registry=registry
        )
        self._series_cache: dict[tuple[str, str | None, int], tuple[Inc, Observe, Inc | None]] = {}
        info = Gauge("govid_build_info", "Always 1.", ["version", "python"], registry=registry)
        info.labels(__version__, python_version()).set(1)

    def count_request(self, info: RequestInfo, seconds: float) -> None:
        """Count one request that took *seconds*."""
        key = (info.method, info.route, info.status)
        known = self._series_cache.get(key)
        if known is None:
            known = self._resolve_series(*key)
        inc, observe, sign_in = known
        inc()
        observe(seconds)
        if sign_in is not None:
            sign_in()

    def _resolve_series(
        self, method: str, route: str | None, status: int
    ) -> tuple[Inc, Observe, Inc | None]:
        labels = (method if method in METHODS else "other", route or UNMATCHED_ROUTE)
        sign_in = None
        if labels == SIGN_IN:
            outcome = SIGN_IN_OUTCOMES.get(status, "failed")
            sign_in = self._sign_ins.labels(outcome).inc
        resolved = (
            self._requests.labels(*labels, str(status)).inc,
            self._seconds.labels(*labels).observe,
            sign_in,
        )
        if method in METHODS:
            # An unknown method is not cached: clients can send any number of them.
            self._series_cache[method, route, status] = resolved
        return resolved


class MetricsScrape:
    """Renders all metrics of this process."""

    def __init__(self, registry: CollectorRegistry, refresh: Callable[[], Awaitable[None]]) -> None:
        """Render *registry*; *refresh* is awaited before each scrape."""
        self._registry = registry
        self._refresh = refresh
        ProcessCollector(registry=registry)

    async def render(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        await self._refresh()
        return generate_latest(self._registry)


def build_metrics_route(scrape: MetricsScrape, token: bytes | None = None) -> HTTPRouteHandler:
    """Return the route `/metrics`; with *token*, a request without this bearer token gets a 404."""

    @get(
        "/metrics",
        public="numbers without identifiers: open in `govid dev`, else protected by its own token",
        summary="Get all metrics in Prometheus's text format",
        tags=["machine pages"],
        media_type=MEDIA_TYPE,
        raises=[],
    )
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return all metrics of this process."""
        if token is not None and not _matches_token(
            get_request_info(request.scope).authorization, token
        ):
            raise NotFoundException
        return Response(await scrape.render(), media_type=MEDIA_TYPE)

    return metrics


def _matches_token(authorization: bytes | None, token: bytes) -> bool:
    """Return whether *authorization* is the bearer token *token*."""
    scheme, _, sent = (authorization or b"").partition(b" ")
    return compare_digest(sent.strip(), token) and scheme.lower() == b"bearer"
