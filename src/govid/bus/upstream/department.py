"""One department: a client, its connections, and the APIs that are called by it."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from govid.bus.upstream.api import Api, Limiter
from govid.bus.upstream.breaker import BreakerState
from govid.bus.upstream.metrics import UpstreamMetrics
from govid.bus.upstream.policy import Policy

CONNECTIONS = 20
STRAGGLERS_SECONDS = 2.0
"""So long after a department came back somebody may still be about to wait for it."""
SHORTEST_PAUSE_SECONDS = 0.1
QUIET = ("httpx", "httpcore")
"""Libraries that log URLs and headers, which name people (I9)."""

Listener = Callable[[bool], None]
"""Is told True when an API is back, and False when one may be: one call is enough to find out."""


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
        self._metrics.expect(name)
        self._refuse_simulators = refuse_simulators
        self._apis: list[Api] = []
        self._listeners: list[Listener] = []
        self._timers: dict[Api, asyncio.TimerHandle] = {}
        self._is_closed = False
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
        policy = policy or Policy()
        api = Api(
            self.name,
            name,
            base_url,
            self._http,
            self._metrics,
            policy,
            refuse_simulators=self._refuse_simulators,
            limiter=limiter,
        )
        api.breaker.listen(partial(self._heard, api, policy.rest_seconds))
        self._apis.append(api)
        return api

    def on_recovery(self, listener: Listener) -> None:
        """Call *listener* each time that an API is back, and as long as it is not, after each rest.

        A breaker lets a call through to see, and makes none itself: who waits has to come by.
        """
        self._listeners.append(listener)

    @property
    def state(self) -> str:
        """`ok`, or `down` while the breaker of one of the APIs is not closed."""
        states = {api.breaker.state for api in self._apis}
        return "ok" if states <= {BreakerState.CLOSED} else "down"

    def _heard(self, api: Api, rest_seconds: float, state: BreakerState) -> None:
        match state:
            case BreakerState.CLOSED:
                # An answer that refuses govid itself closes it for a moment: its caller opens it.
                self._later(api, 0, partial(self._welcome, api))
            case BreakerState.OPEN:
                pause = max(rest_seconds, SHORTEST_PAUSE_SECONDS)
                self._later(api, pause, partial(self._look, api, pause))

    def _welcome(self, api: Api) -> None:
        """Say that *api* is back, now and once more."""
        self._tell(surely=True)
        # Whoever was refused a moment ago is only now about to wait, and heard nothing.
        self._later(api, STRAGGLERS_SECONDS, partial(self._tell, surely=True))

    def _look(self, api: Api, pause: float) -> None:
        """Ask for a call that finds out; and again after a pause, if none did."""
        if api.breaker.state is not BreakerState.CLOSED:
            self._tell(surely=False)
            self._later(api, pause, partial(self._look, api, pause))

    def _tell(self, *, surely: bool) -> None:
        for listener in self._listeners:
            listener(surely)

    def _later(self, api: Api, seconds: float, work: Callable[[], None]) -> None:
        """Do *work* then, and nothing else that was to be done about *api*."""
        if (planned := self._timers.get(api)) is not None:
            planned.cancel()
        if self._is_closed:
            return
        self._timers[api] = asyncio.get_running_loop().call_later(seconds, work)

    async def close(self) -> None:
        """Close all connections. A call that fails by it asks nobody to look."""
        self._is_closed = True
        for timer in self._timers.values():
            timer.cancel()
        await self._http.aclose()


def in_process(application: Any) -> httpx.AsyncBaseTransport:
    """Return a way to an ASGI *application* in this process: no socket, the same bytes.

    Its lifespan is not run. What it raises becomes a 500, as over a socket.
    """
    return _InProcess(application, raise_app_exceptions=False)


class _InProcess(httpx.ASGITransport):
    """The library's own, but that an answer which breaks off is what it is over a socket."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AssertionError:
            # That the answer has come to its end is all that the library asserts.
            raise httpx.RemoteProtocolError("the answer broke off", request=request) from None
