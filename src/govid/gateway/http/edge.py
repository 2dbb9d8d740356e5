"""The outermost ASGI middleware: request ids, limits, headers, metrics and the request log.

Size and time limits of a request, those of its body too, are enforced here, by the functions of
`limits`, before the framework or a handler sees the request.

Plain ASGI around the framework, because it must see what the framework refuses before any of its
middleware runs (404, 405), and because every request pays for every microsecond here.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any, Protocol

from govid.bus import Clock, InvalidRequest
from govid.bus.events import AccessDecided, RequestFinished, RequestReceived
from govid.gateway.http.connection_limits import ConnectionLimits
from govid.gateway.http.cors import CorsPolicy
from govid.gateway.http.draining import ConnectionDrain
from govid.gateway.http.hosts import PROBE_PATHS, AllowedHosts, TrustedProxies
from govid.gateway.http.limits import (
    ClientDisconnected,
    LimitExceeded,
    check_head,
    discard_body,
    read_body,
    replay_body,
)
from govid.gateway.http.problems import (
    MEDIA_TYPE,
    ProblemResponse,
    problem_for_error,
    problem_for_status,
)
from govid.gateway.http.request_info import SCOPE_KEY, RequestInfo

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


class ActivityLog(Protocol):
    """Publishes to the activity and access log topics, at once and without raising errors."""

    def publish_activity(self, event: RequestReceived) -> None:
        """Publish that a request was received or finished."""

    def publish_access(self, event: AccessDecided) -> None:
        """Publish an access decision."""


class RequestLog(Protocol):
    """Writes the request log: one line per request."""

    def write_request(self, info: RequestInfo, duration_ms: float) -> None:
        """Write the line of the request *info*."""


class RequestMetrics(Protocol):
    """Counts requests."""

    def count_request(self, info: RequestInfo, seconds: float) -> None:
        """Count one request."""


class EdgeMiddleware:
    """Wraps the application and handles what is common to all requests."""

    def __init__(
        self,
        app: Any,
        *,
        logs: ActivityLog,
        request_log: RequestLog,
        metrics: RequestMetrics,
        limits: ConnectionLimits,
        clock: Clock,
        methods: Mapping[str, Iterable[str]],
        hosts: Sequence[str] = (),
        probe_paths: AbstractSet[str] = PROBE_PATHS,
        proxies: Sequence[str] = (),
        cors_origins: Sequence[str] = (),
        uses_https: bool = False,
        drain: ConnectionDrain | None = None,
    ) -> None:
        """Serve *app*.

        *methods* holds the methods of each route by its path template. *hosts* are the allowed
        host names; an empty list allows any. *probe_paths* are answered under any name.
        *uses_https* is true if clients reach govid by TLS.
        """
        self._app = app
        self.limits = limits
        """The connection limits of this process, for `LimitedHttpProtocol`."""
        self._logs = logs
        self._request_log = request_log
        self._metrics = metrics
        self._clock = clock
        self._allow = {route: _allow_header(names) for route, names in methods.items()}
        self._hosts = AllowedHosts(hosts, probe_paths)
        self._proxies = TrustedProxies(proxies)
        self._cors = CorsPolicy(cors_origins)
        self.drain = drain or ConnectionDrain()
        """Whether this process is about to stop; the server begins it."""
        self._headers = [*_SECURITY, _HSTS] if uses_https else _SECURITY
        self.default_headers = (*self._headers, *_DEFAULTS.items())
        """Headers of answers that `LimitedHttpProtocol` writes itself, without a request."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._run_lifespan(scope, receive, send)
            return
        info = scope[SCOPE_KEY] = RequestInfo(scope)
        if self._proxies:
            info.client_ip = self._proxies.find_client_address(info.client_ip, scope["headers"])
        self._publish_received(info)
        sender = _ResponseSender(info, send, self._headers, self._cors, self.drain)
        try:
            await self._serve(info, scope, receive, sender)
        except ClientDisconnected:
            info.status = 499
        except LimitExceeded as refused:
            await sender.send_problem(
                problem_for_status(refused.status), close=refused.close_connection
            )
        except Exception as error:  # an edge: the client always gets a problem
            if info.status:
                raise
            await sender.send_problem(problem_for_error(error, info))
        finally:
            self._record_finished(info)

    async def _run_lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        """Start and stop the application (ASGI lifespan)."""
        try:
            await self._app(scope, receive, partial(_send_without_trace, send))
        except Exception:
            log.exception("%s.failed", scope["type"])
            raise

    async def _serve(
        self, info: RequestInfo, scope: Any, receive: Any, sender: "_ResponseSender"
    ) -> None:
        """Check the request, read its body within the limits, and pass it to the application."""
        try:
            self._hosts.check(info)
            check_head(info)
        except (LimitExceeded, InvalidRequest) as refusal:
            if _still_sends_body(info, refusal):
                await discard_body(receive)
            raise
        if (preflight := self._cors.preflight_headers(info)) is not None:
            await sender.send_empty(preflight)
            return
        if info.has_body:
            receive = replay_body(await read_body(receive), receive)
        if info.method == "HEAD":
            # HEAD is handled as GET; `_ResponseSender` drops the body. The scope is copied, because
            # the server counts bytes by the method in its own scope.
            scope = {**scope, "method": "GET"}
        respond = sender.send
        if info.method == "OPTIONS":
            respond = partial(self._send_allow, scope, sender)
        try:
            await self._app(scope, receive, respond)
        finally:
            info.route = scope.get("path_template")

    async def _send_allow(self, scope: Any, sender: "_ResponseSender", message: Any) -> None:
        """Send an answer to OPTIONS with all methods; the framework's lists one handler's only."""
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.NO_CONTENT:
            allow = self._allow[scope["path_template"]]
            message["headers"] = [(b"allow", allow)]
        await sender.send(message)

    def _publish_received(self, info: RequestInfo) -> None:
        self._logs.publish_activity(
            RequestReceived(
                timestamp=self._clock.now(),
                method=info.method,
                path=info.path,
                client_ip=info.client_ip,
                user_agent=info.user_agent,
                request_id=info.request_id,
                correlation_id=info.correlation_id,
            )
        )

    def _record_finished(self, info: RequestInfo) -> None:
        seconds = perf_counter() - info.started
        duration_ms = round(seconds * 1000, 3)
        status = info.status = info.status or 500
        self._metrics.count_request(info, seconds)
        self._logs.publish_activity(
            RequestFinished(
                timestamp=self._clock.now(),
                level="INFO" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "ERROR",
                method=info.method,
                path=info.path,
                client_ip=info.client_ip,
                user_agent=info.user_agent,
                request_id=info.request_id,
                correlation_id=info.correlation_id,
                status_code=status,
                duration_ms=duration_ms,
                user_id=info.user_id,
            )
        )
        deferred = info.deferred_access_event
        if (
            deferred is not None
            and not deferred.is_written
            and isinstance(deferred.event, AccessDecided)
        ):
            # No transaction has written the decision, so it is published here.
            self._logs.publish_access(deferred.event)
        self._request_log.write_request(info, duration_ms)


class _ResponseSender:
    """Sends one answer with the headers that every answer has."""

    __slots__ = ("_cors", "_drain", "_headers", "_info", "_send")

    def __init__(
        self,
        info: RequestInfo,
        send: Any,
        headers: list[Header],
        cors: CorsPolicy,
        drain: ConnectionDrain,
    ) -> None:
        self._info = info
        self._send = send
        self._headers = headers
        self._cors = cors
        self._drain = drain

    async def send(self, message: Any) -> None:
        """Send *message* with the common headers; the body of an answer to HEAD is dropped."""
        if message["type"] == "http.response.start":
            self._info.status = message["status"]
            message["headers"] = self._add_headers(message["headers"])
        elif self._info.method == "HEAD" and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    async def send_problem(self, problem: ProblemResponse, *, close: bool = False) -> None:
        """Answer with *problem*; *close* the connection if the request's body was left unread."""
        body = problem.encode(self._info.path)
        headers = [(k.lower().encode(), v.encode()) for k, v in problem.headers.items()]
        headers += [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        if close:
            headers.append((b"connection", b"close"))
        await self.send(
            {"type": "http.response.start", "status": problem.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": body})

    async def send_empty(self, headers: list[Header]) -> None:
        """Answer 204 with *headers*."""
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    def _add_headers(self, headers: Any) -> list[Header]:
        info = self._info
        complete: list[Header] = list(headers)
        names = {name for name, _ in complete}
        complete += self._headers
        complete += [(name, value) for name, value in _DEFAULTS.items() if name not in names]
        complete += self._cors.response_headers(info)
        if self._drain.is_draining and b"connection" not in names:
            complete.append((b"connection", b"close"))
        elapsed_ms = (perf_counter() - info.started) * 1000
        complete.append((b"x-correlation-id", info.correlation_id.encode()))
        complete.append((b"x-process-time-ms", b"%.2f" % elapsed_ms))
        return complete


async def _send_without_trace(send: Any, message: Any) -> None:
    """Send *message* of the lifespan without its text, which the server would log unchanged.

    After a failed start the framework sends the whole stack trace, which may quote values (I9).
    """
    if message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
        message["message"] = message["type"]
    await send(message)


def _still_sends_body(info: RequestInfo, refusal: LimitExceeded | InvalidRequest) -> bool:
    """Return whether the client sends a body although the head was refused."""
    closes = isinstance(refusal, LimitExceeded) and refusal.close_connection
    return info.has_body and not info.awaits_permission and not closes


def _allow_header(methods: Iterable[str]) -> bytes:
    """Return the `Allow` header for *methods*, with HEAD wherever there is GET."""
    names = set(methods)
    return ", ".join(sorted(names | ({"HEAD"} if "GET" in names else set()))).encode()
