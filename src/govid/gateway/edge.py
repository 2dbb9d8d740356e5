"""The outermost layer: what holds for every request, whether or not anything serves it.

Plain ASGI around the framework, because it must see what the framework refuses before any
middleware runs (404, 405), and because every microsecond here is paid by every request.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any, Protocol

from govid.bus import Clock, Invalid
from govid.bus.contracts import AccessDecided, RequestFinished, RequestReceived
from govid.gateway.addresses import Proxies
from govid.gateway.connection_limits import ConnectionLimits
from govid.gateway.cors import Cors
from govid.gateway.exchange import KEY, Exchange
from govid.gateway.hosts import PROBED, Hosts
from govid.gateway.limits import Gone, Refused, check, discard, read, replay
from govid.gateway.problems import MEDIA_TYPE, Refusal, plain, refusal_of

log = logging.getLogger(__name__)

Header = tuple[bytes, bytes]

CONTENT_SECURITY_POLICY = b"default-src 'none'; frame-ancestors 'none'"
_SECURITY: list[Header] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_DEFAULTS = {
    b"cache-control": b"no-store",
    b"content-security-policy": CONTENT_SECURITY_POLICY,
}
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Logs(Protocol):
    """The log topics of the contract. Both calls return at once and never fail."""

    def activity(self, event: RequestReceived) -> None:
        """Tell that a request came in, or was answered."""

    def access(self, event: AccessDecided) -> None:
        """Tell what was decided."""


class RequestLog(Protocol):
    """Where one line a request goes."""

    def line(self, exchange: Exchange, duration_ms: float) -> None:
        """Write the line."""


class Counts(Protocol):
    """Where requests are counted."""

    def count(self, exchange: Exchange, seconds: float) -> None:
        """Count one request."""


class Edge:
    """Wraps the application."""

    def __init__(
        self,
        app: Any,
        *,
        logs: Logs,
        requests: RequestLog,
        counts: Counts,
        limits: ConnectionLimits,
        clock: Clock,
        methods: Mapping[str, Iterable[str]],
        hosts: Sequence[str] = (),
        probed: AbstractSet[str] = PROBED,
        proxies: Sequence[str] = (),
        cors_origins: Sequence[str] = (),
        https: bool = False,
    ) -> None:
        """Serve *app*.

        *methods* holds what each route takes, by its template; *hosts* are the names by which
        clients may call, none for any, and *probed* the paths that any name reaches; *https* tells
        whether they reach govid by TLS.
        """
        self._app = app
        self.limits = limits
        """Of this process's connections: `Connection` asks them."""
        self._logs = logs
        self._requests = requests
        self._counts = counts
        self._clock = clock
        self._allow = {route: _allow(taken) for route, taken in methods.items()}
        self._hosts = Hosts(hosts, probed)
        self._proxies = Proxies(proxies)
        self._cors = Cors(cors_origins)
        self._headers = [*_SECURITY, _HSTS] if https else _SECURITY
        self.standing_headers = (*self._headers, *_DEFAULTS.items())
        """Of answers that `Connection` writes by itself, where no request comes about."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._live(scope, receive, send)
            return
        exchange = scope[KEY] = Exchange(scope)
        if self._proxies:
            exchange.client_ip = self._proxies.client(exchange.client_ip, scope["headers"])
        self._received(exchange)
        answer = _Answer(exchange, send, self._headers, self._cors)
        try:
            await self._serve(exchange, scope, receive, answer)
        except Gone:
            exchange.status = 499
        except Refused as refused:
            await answer.problem(plain(refused.status), hang_up=refused.hang_up)
        except Exception as error:  # an edge: whatever happens, the client gets a problem
            if exchange.status:
                raise
            await answer.problem(refusal_of(error, exchange))
        finally:
            self._finished(exchange)

    async def _live(self, scope: Any, receive: Any, send: Any) -> None:
        """Start and stop the application."""
        try:
            await self._app(scope, receive, partial(_tell_shortly, send))
        except Exception:
            log.exception("%s.failed", scope["type"])
            raise

    async def _serve(self, exchange: Exchange, scope: Any, receive: Any, answer: "_Answer") -> None:
        try:
            self._hosts.check(exchange)
            check(exchange)
        except (Refused, Invalid) as refusal:
            if _sends_on(exchange, refusal):
                await discard(receive)
            raise
        if (preflight := self._cors.preflight(exchange)) is not None:
            await answer.empty(preflight)
            return
        if exchange.has_body:
            receive = replay(await read(receive), receive)
        if exchange.method == "HEAD":
            # The same answer as to GET; its body is held back on the way out. In a copy, because
            # the server counts bytes by the method in its own.
            scope = {**scope, "method": "GET"}
        told = partial(self._told, scope, answer) if exchange.method == "OPTIONS" else answer.send
        try:
            await self._app(scope, receive, told)
        finally:
            exchange.route = scope.get("path_template")

    async def _told(self, scope: Any, answer: "_Answer", message: Any) -> None:
        """Pass on an answer to OPTIONS; the framework's knows one handler of a route only."""
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.NO_CONTENT:
            allow = self._allow[scope["path_template"]]
            message["headers"] = [(b"allow", allow)]
        await answer.send(message)

    def _received(self, exchange: Exchange) -> None:
        self._logs.activity(
            RequestReceived(
                timestamp=self._clock.now(),
                method=exchange.method,
                path=exchange.path,
                client_ip=exchange.client_ip,
                user_agent=exchange.user_agent,
                request_id=exchange.request_id,
                correlation_id=exchange.correlation_id,
            )
        )

    def _finished(self, exchange: Exchange) -> None:
        seconds = perf_counter() - exchange.started
        duration_ms = round(seconds * 1000, 3)
        status = exchange.status = exchange.status or 500
        self._counts.count(exchange, seconds)
        self._logs.activity(
            RequestFinished(
                timestamp=self._clock.now(),
                level="INFO" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "ERROR",
                method=exchange.method,
                path=exchange.path,
                client_ip=exchange.client_ip,
                user_agent=exchange.user_agent,
                request_id=exchange.request_id,
                correlation_id=exchange.correlation_id,
                status_code=status,
                duration_ms=duration_ms,
                user_id=exchange.user_id,
            )
        )
        witness = exchange.witness
        if witness is not None and not witness.written and isinstance(witness.event, AccessDecided):
            # Nothing was written after all, but the decision was made.
            self._logs.access(witness.event)
        self._requests.line(exchange, duration_ms)


class _Answer:
    """Sends one answer, with the headers that every answer has."""

    __slots__ = ("_cors", "_exchange", "_headers", "_send")

    def __init__(self, exchange: Exchange, send: Any, headers: list[Header], cors: Cors) -> None:
        self._exchange = exchange
        self._send = send
        self._headers = headers
        self._cors = cors

    async def send(self, message: Any) -> None:
        """Pass *message* on, completed."""
        if message["type"] == "http.response.start":
            self._exchange.status = message["status"]
            message["headers"] = self._complete(message["headers"])
        elif self._exchange.method == "HEAD" and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    async def problem(self, refusal: Refusal, *, hang_up: bool = False) -> None:
        """Answer with *refusal*; *hang_up* if the request's body was left unread."""
        body = refusal.body(self._exchange.path)
        headers = [(k.lower().encode(), v.encode()) for k, v in refusal.headers.items()]
        headers += [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        if hang_up:
            headers.append((b"connection", b"close"))
        await self.send(
            {"type": "http.response.start", "status": refusal.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": body})

    async def empty(self, headers: list[Header]) -> None:
        """Answer 204 with *headers*."""
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    def _complete(self, headers: Any) -> list[Header]:
        exchange = self._exchange
        complete: list[Header] = list(headers)
        names = {name for name, _ in complete}
        complete += self._headers
        complete += [(name, value) for name, value in _DEFAULTS.items() if name not in names]
        complete += self._cors.headers(exchange)
        elapsed_ms = (perf_counter() - exchange.started) * 1000
        complete.append((b"x-correlation-id", exchange.correlation_id.encode()))
        complete.append((b"x-process-time-ms", b"%.2f" % elapsed_ms))
        return complete


async def _tell_shortly(send: Any, message: Any) -> None:
    """Pass on what the lifespan tells the server, which logs it as it is.

    Of a failed start the framework sends the whole trace, which may quote values (I9).
    """
    if message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
        message["message"] = message["type"]
    await send(message)


def _sends_on(exchange: Exchange, refusal: Refused | Invalid) -> bool:
    """Tell whether the client sends a body although its head was refused."""
    hangs_up = isinstance(refusal, Refused) and refusal.hang_up
    return exchange.has_body and not exchange.awaits_permission and not hangs_up


def _allow(methods: Iterable[str]) -> bytes:
    """Return the header for *methods*. Where there is GET there is HEAD."""
    taken = set(methods)
    return ", ".join(sorted(taken | ({"HEAD"} if "GET" in taken else set()))).encode()
