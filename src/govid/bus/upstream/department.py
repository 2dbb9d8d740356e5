"""One department: the HTTP connection pool, the clients of its APIs, and its recovery signal."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from govid.bus.upstream.client import RequestLimiter, UpstreamClient
from govid.bus.upstream.resilience import BreakerState, RequestPolicy, UpstreamMetrics

MAX_CONNECTIONS = 20
LATE_WAITERS_SECONDS = 2.0
"""How long after a recovery a caller may still be about to start waiting for it."""
MIN_PROBE_INTERVAL_SECONDS = 0.1
SILENCED_LOGGERS = ("httpx", "httpcore")
"""Loggers of libraries that log URLs and headers, which may identify people (I9)."""

RecoveryListener = Callable[[bool], None]
"""Called with True when an API is available again, and with False when a probe may succeed."""


class Department:
    """One department: its connection pool and the clients of its APIs.

    Certificates are verified. Proxies and `.netrc` of the environment are ignored. Redirects are
    not followed.
    """

    def __init__(
        self,
        name: str,
        *,
        metrics: UpstreamMetrics | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        refuse_simulators: bool = False,
    ) -> None:
        """Reach the department through *transport*; None means the network."""
        for library in SILENCED_LOGGERS:
            logging.getLogger(library).setLevel(logging.WARNING)
        self.name = name
        self._metrics = metrics or UpstreamMetrics()
        self._metrics.register_department(name)
        self._refuse_simulators = refuse_simulators
        self._clients: list[UpstreamClient] = []
        self._listeners: list[RecoveryListener] = []
        self._timers: dict[UpstreamClient, asyncio.TimerHandle] = {}
        self._is_closed = False
        self._http = httpx.AsyncClient(
            transport=transport,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "govid"},
        )

    def create_client(
        self,
        name: str,
        base_url: str,
        policy: RequestPolicy | None = None,
        limiter: RequestLimiter | None = None,
    ) -> UpstreamClient:
        """Return a client of the API *name*, with its own circuit breaker.

        It also has its own rate limit, unless it shares *limiter* with other APIs.
        """
        policy = policy or RequestPolicy()
        api = UpstreamClient(
            self.name,
            name,
            base_url,
            self._http,
            self._metrics,
            policy,
            refuse_simulators=self._refuse_simulators,
            limiter=limiter,
        )
        api.breaker.add_listener(partial(self._on_breaker_change, api, policy.open_seconds))
        self._clients.append(api)
        return api

    def on_recovery(self, listener: RecoveryListener) -> None:
        """Call *listener* when an API recovers, and periodically while its breaker is open.

        A circuit breaker lets a probe through but sends none itself: a waiting caller has to send
        the request that probes the API.
        """
        self._listeners.append(listener)

    @property
    def state(self) -> str:
        """`ok`, or `down` while the circuit breaker of an API is not closed."""
        states = {api.breaker.state for api in self._clients}
        return "ok" if states <= {BreakerState.CLOSED} else "down"

    def _on_breaker_change(
        self, api: UpstreamClient, open_seconds: float, state: BreakerState
    ) -> None:
        match state:
            case BreakerState.CLOSED:
                # A response that rejects govid's credentials closes the breaker briefly, until
                # its caller trips it: so the notification is deferred to the next loop iteration.
                self._schedule(api, 0, partial(self._on_recovered, api))
            case BreakerState.OPEN:
                pause = max(open_seconds, MIN_PROBE_INTERVAL_SECONDS)
                self._schedule(api, pause, partial(self._request_probe, api, pause))

    def _on_recovered(self, api: UpstreamClient) -> None:
        """Notify that *api* has recovered, now and once more."""
        self._notify_listeners(is_recovered=True)
        # A caller that was refused just before may start to wait only now, and missed the first.
        self._schedule(
            api, LATE_WAITERS_SECONDS, partial(self._notify_listeners, is_recovered=True)
        )

    def _request_probe(self, api: UpstreamClient, pause: float) -> None:
        """Request a probe, and request another after a pause if the breaker is still open."""
        if api.breaker.state is not BreakerState.CLOSED:
            self._notify_listeners(is_recovered=False)
            self._schedule(api, pause, partial(self._request_probe, api, pause))

    def _notify_listeners(self, *, is_recovered: bool) -> None:
        for listener in self._listeners:
            listener(is_recovered)

    def _schedule(self, api: UpstreamClient, seconds: float, work: Callable[[], None]) -> None:
        """Schedule *work*, in place of what was scheduled for *api* before."""
        if (scheduled := self._timers.get(api)) is not None:
            scheduled.cancel()
        if self._is_closed:
            return
        self._timers[api] = asyncio.get_running_loop().call_later(seconds, work)

    async def close(self) -> None:
        """Close all connections. A call that fails because of this requests no probe."""
        self._is_closed = True
        for timer in self._timers.values():
            timer.cancel()
        await self._http.aclose()


def in_process_transport(application: Any) -> httpx.AsyncBaseTransport:
    """Return a transport to an ASGI *application* in this process: no socket, the same bytes.

    Its lifespan is not run. An exception in it becomes a 500, as over a socket.
    """
    return _InProcessTransport(application, raise_app_exceptions=False)


class _InProcessTransport(httpx.ASGITransport):
    """The library's transport, except that a truncated response fails as over a socket."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AssertionError:
            # The library's only assertion is that the response is complete.
            raise httpx.RemoteProtocolError("the response was truncated", request=request) from None
