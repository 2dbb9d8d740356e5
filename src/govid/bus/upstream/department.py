"""One department: a client, its connections, and the APIs that are called by it."""

import logging
from collections.abc import Callable
from typing import Any

import httpx

from govid.bus.upstream.api import Api, Limiter
from govid.bus.upstream.breaker import BreakerState
from govid.bus.upstream.metrics import UpstreamMetrics
from govid.bus.upstream.policy import Policy

CONNECTIONS = 20
QUIET = ("httpx", "httpcore")
"""Libraries that log URLs and headers, which name people (I9)."""


class Department:
    """All that govid has open towards one department.

    Certificates are checked; nothing is taken from the environment, neither a proxy nor a `.netrc`;
    redirects are not followed.
    """

    def __init__(
        self,
        name: str,
        *,
        metrics: UpstreamMetrics | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        refuse_simulators: bool = False,
    ) -> None:
        """Reach the department by *transport*, or else by the network."""
        for library in QUIET:
            logging.getLogger(library).setLevel(logging.WARNING)
        self.name = name
        self._metrics = metrics or UpstreamMetrics()
        self._refuse_simulators = refuse_simulators
        self._apis: list[Api] = []
        self._listeners: list[Callable[[], None]] = []
        self._http = httpx.AsyncClient(
            transport=transport,
            limits=httpx.Limits(max_connections=CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "govid"},
        )

    def api(
        self,
        name: str,
        base_url: str,
        policy: Policy | None = None,
        limiter: Limiter | None = None,
    ) -> Api:
        """Return the API *name*, with a breaker of its own.

        Its limiter is its own too, unless it is given the *limiter* that it shares with others.
        """
        api = Api(
            self.name,
            name,
            base_url,
            self._http,
            self._metrics,
            policy or Policy(),
            refuse_simulators=self._refuse_simulators,
            limiter=limiter,
        )
        api.breaker.listen(self._heard)
        self._apis.append(api)
        return api

    def on_recovery(self, listener: Callable[[], None]) -> None:
        """Call *listener* each time that the department is back."""
        self._listeners.append(listener)

    @property
    def state(self) -> str:
        """`ok`, or `down` while the breaker of one of the APIs is not closed."""
        states = {api.breaker.state for api in self._apis}
        return "ok" if states <= {BreakerState.CLOSED} else "down"

    def _heard(self, state: BreakerState) -> None:
        if state is BreakerState.CLOSED and self.state == "ok":
            for listener in self._listeners:
                listener()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def in_process(application: Any) -> httpx.AsyncBaseTransport:
    """Return a way to an ASGI *application* in this process: no socket, the same bytes.

    Its lifespan is not run. What it raises becomes a 500, as over a socket.
    """
    return httpx.ASGITransport(application, raise_app_exceptions=False)
