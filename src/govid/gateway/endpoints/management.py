"""Serves `/metrics` on the management port, separate from clients of the service.

The port answers under any host name, because Prometheus calls a replica by its address.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from uvicorn.server import ServerState

from govid.gateway.endpoints.metrics import MEDIA_TYPE, MetricsScrape
from govid.gateway.http.connection_limits import ConnectionLimits
from govid.gateway.http.problems import MEDIA_TYPE as PROBLEM
from govid.gateway.http.problems import problem_for_status
from govid.gateway.http.protocol import LimitedHttpProtocol

CONNECTIONS = 20
PATH = "/metrics"
_SAFE = frozenset({"GET", "HEAD"})
_DEFAULT_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class ManagementApp:
    """Serves `/metrics` and nothing else."""

    default_headers = _DEFAULT_HEADERS
    """Headers of answers that `LimitedHttpProtocol` writes itself."""

    def __init__(self, scrape: MetricsScrape) -> None:
        """Answer with the metrics that *scrape* renders."""
        self._scrape = scrape
        # On a registry of its own, because the gauge of the scraped registry counts clients.
        self.limits = ConnectionLimits(
            CollectorRegistry(), total=CONNECTIONS, per_network=CONNECTIONS
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI
        """Answer one request."""
        if scope["path"] != PATH:
            await _send(send, 404, PROBLEM, problem_for_status(404).encode(scope["path"][:256]))
        elif scope["method"] not in _SAFE:
            await _send(send, 405, PROBLEM, problem_for_status(405).encode(PATH))
        else:
            await _send(send, 200, f"{MEDIA_TYPE}; charset=utf-8", await self._scrape.render())


@asynccontextmanager
async def serve_management_port(host: str, port: int, scrape: MetricsScrape) -> AsyncIterator[None]:
    """Serve *scrape* on *port* of *host* while the block runs.

    Several worker processes share the port: each scrape reaches one of them.
    """
    configuration = uvicorn.Config(
        ManagementApp(scrape),
        http=LimitedHttpProtocol,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
    )
    configuration.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedHttpProtocol(configuration, state, {}), host, port, reuse_port=True
    )
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()


async def _send(send: Any, status: int, media_type: str, body: bytes) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *_DEFAULT_HEADERS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
