"""Serves metrics and health on the management port, separate from clients of the service.

`/metrics` and the details of `/health` are shown nowhere else in production. The port answers under
any host name, because Prometheus and orchestrators call a replica by its address.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import uvicorn
from prometheus_client import CollectorRegistry
from uvicorn.server import ServerState

from govid.gateway.endpoints.health import ALIVE, HealthProbe, health_status
from govid.gateway.endpoints.metrics import MEDIA_TYPE, MetricsScrape
from govid.gateway.http.connection_limits import ConnectionLimits
from govid.gateway.http.problems import MEDIA_TYPE as PROBLEM
from govid.gateway.http.problems import problem_for_status
from govid.gateway.http.protocol import LimitedHttpProtocol

CONNECTIONS = 20
CONNECTIONS_PER_NETWORK = 10
HEAD_SECONDS = 2.0
"""Probes and scrapers send their heads at once."""
JSON = "application/json"
_SAFE = frozenset({"GET", "HEAD"})
_DEFAULT_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


_encode = msgspec.json.encode


class _Answer(NamedTuple):
    status: int
    media_type: str
    body: bytes


class ManagementProtocol(LimitedHttpProtocol):
    """A connection to the management port, which slow clients cannot hold.

    Orchestrators, scrapers and others may share an address, behind a sidecar for example. So only a
    connection whose answer is being produced keeps its slot when others need one. A client that
    does not read its answer is evicted like one that sends nothing.
    """

    head_seconds = HEAD_SECONDS

    def pause_writing(self) -> None:
        """Wait for a slow reader, with a time limit and only while no other needs the slot."""
        super().pause_writing()
        self._mark_waiting()

    def resume_writing(self) -> None:
        """Keep the slot for the answer that is being produced."""
        super().resume_writing()
        if self._slot is not None and self._is_responding():
            self._limits.mark_serving(self._slot)

    def _mark_waiting(self) -> None:
        """Note that the connection may be evicted, even if its client has not read the answer."""
        if self._slot is not None and (self.flow.write_paused or not self._is_responding()):
            self._limits.mark_waiting(self._slot)

    def _on_evicted(self) -> None:
        """Close the connection; drop what its client has not read."""
        if self.transport.get_write_buffer_size():
            self._slot = None
            self.transport.abort()
        else:
            super()._on_evicted()


class ManagementApp:
    """Serves metrics and health, and nothing else."""

    default_headers = _DEFAULT_HEADERS
    """Headers of answers that `ManagementProtocol` writes itself."""

    def __init__(self, scrape: MetricsScrape, probe: HealthProbe) -> None:
        """Answer with the metrics that *scrape* renders, and with the states of *probe*."""
        self._scrape = scrape
        self._probe = probe
        self._routes: Mapping[str, Callable[[], Awaitable[_Answer]]] = {
            "/metrics": self._render_metrics,
            "/health": self._check_health,
            "/health/ready": self._check_readiness,
            "/health/live": _report_alive,
            "/health/startup": _report_alive,
        }
        # On a registry of its own, because the gauge of the scraped registry counts clients.
        self.limits = ConnectionLimits(
            CollectorRegistry(),
            total=CONNECTIONS,
            per_network=CONNECTIONS_PER_NETWORK,
            evicts_within_network=True,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI
        """Answer one request."""
        route = self._routes.get(scope["path"])
        if route is None:
            await _send(send, _refuse(404, scope["path"][:256]))
        elif scope["method"] not in _SAFE:
            await _send(send, _refuse(405, scope["path"]))
        else:
            await _send(send, await route())

    async def _render_metrics(self) -> _Answer:
        return _Answer(200, f"{MEDIA_TYPE}; charset=utf-8", await self._scrape.render())

    async def _check_health(self) -> _Answer:
        view = await self._probe.check_details()
        return _Answer(health_status(view), JSON, _encode(view))

    async def _check_readiness(self) -> _Answer:
        view, is_ready = await self._probe.check_readiness()
        return _Answer(200 if is_ready else 503, JSON, _encode(view))


async def _report_alive() -> _Answer:
    return _Answer(200, JSON, _encode(ALIVE))


def _refuse(status: int, path: str) -> _Answer:
    return _Answer(status, PROBLEM, problem_for_status(status).encode(path))


@asynccontextmanager
async def serve_management_port(
    host: str, port: int, scrape: MetricsScrape, probe: HealthProbe
) -> AsyncIterator[None]:
    """Serve *scrape* and *probe* on *port* of *host* while the block runs.

    Raises:
        OSError: the port cannot be used.
    """
    configuration = uvicorn.Config(
        ManagementApp(scrape, probe),
        http=ManagementProtocol,
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
        lambda: ManagementProtocol(configuration, state, {}), host, port
    )
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()


async def _send(send: Any, answer: _Answer) -> None:
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *_DEFAULT_HEADERS,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
