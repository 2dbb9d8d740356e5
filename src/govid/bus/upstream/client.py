"""Calls one API of a department: deadline, rate limit, retries and circuit breaker."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import NoReturn

import httpx
from aiolimiter import AsyncLimiter

from govid.bus.upstream.models import (
    UnexpectedSimulator,
    UnusableResponse,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamUnavailable,
)
from govid.bus.upstream.resilience import (
    TRANSIENT_STATUSES,
    CircuitBreaker,
    RequestPolicy,
    TransientUnavailable,
    UpstreamMetrics,
    parse_retry_after,
    retry_loop,
)

log = logging.getLogger(__name__)


SIMULATOR_HEADER_NAME = "x-simulator"
"""The header that marks the responses of a simulator."""

RequestFactory = Callable[[], UpstreamRequest]


class RequestLimiter:
    """A rate limit that several APIs share: calls are sent one at a time, at even intervals.

    A burst would exceed the limit of a department that counts over short intervals.
    """

    def __init__(self, per_second: float, *, parent: "RequestLimiter | None" = None) -> None:
        """Allow *per_second* calls; each call also counts towards the limit *parent*."""
        self._per_second = per_second
        self._interval_limiter = AsyncLimiter(1, 1 / per_second)
        self._parent = parent

    def with_reserve(self, per_second: float) -> "RequestLimiter":
        """Return a limit for low-priority calls that reserves *per_second* calls for all others."""
        return RequestLimiter(self._per_second - per_second, parent=self)

    async def acquire(self) -> None:
        """Wait until the limit allows one more call."""
        await self._interval_limiter.acquire()
        if self._parent is not None:
            await self._parent.acquire()


def rate_limited(per_second: float | None) -> RequestLimiter | None:
    """Return a rate limit of *per_second* calls; None means no limit."""
    return RequestLimiter(per_second) if per_second else None


class UpstreamClient:
    """Client of one API: its base URL, circuit breaker, rate limit and retry policy.

    Never used inside a transaction: a slow department must not keep a row locked.
    """

    def __init__(
        self,
        department: str,
        name: str,
        base_url: str,
        http: httpx.AsyncClient,
        metrics: UpstreamMetrics,
        policy: RequestPolicy,
        *,
        refuse_simulators: bool,
        limiter: RequestLimiter | None = None,
    ) -> None:
        """Send requests below *base_url* with *http*; several clients may share one *limiter*."""
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.breaker = CircuitBreaker(
            department, failures=policy.failures_to_open, open_seconds=policy.open_seconds
        )
        self._department = department
        self._http = http
        self._metrics = metrics
        self._policy = policy
        self._refuse_simulators = refuse_simulators
        self._limiter = limiter or rate_limited(policy.per_second)
        metrics.set_breaker_state(department, name, self.breaker.state)
        self.breaker.add_listener(lambda state: metrics.set_breaker_state(department, name, state))

    async def request(self, request: UpstreamRequest | RequestFactory) -> UpstreamResponse:
        """Send *request* and return the response, within the deadline.

        If *request* is a function, it builds the request for each attempt; its first result decides
        whether the request may be repeated.

        Raises:
            UpstreamFailure: there is no response, or none that can be used.
        """
        build_request: RequestFactory = (
            (lambda: request) if isinstance(request, UpstreamRequest) else request
        )
        until = asyncio.get_running_loop().time() + self._policy.total_seconds
        current = build_request()
        async for attempt in retry_loop(self._policy, repeatable=current.repeatable):
            with attempt:
                return await self._attempt(current, attempt.retry_state.attempt_number, until)
            current = build_request()
        raise AssertionError("the loop ends with a response or an error")

    def reject_other_subject(self) -> NoReturn:
        """Reject a response about another person or appointment than was requested.

        It is logged and counted, so that an operator is alerted.

        Raises:
            UnusableResponse: always.
        """
        self._metrics.record_wrong_subject(self._department)
        log.error("department.answered_about_another", extra={"department": self._department})
        raise UnusableResponse(self._department, "another subject")

    async def _attempt(
        self, request: UpstreamRequest, number: int, until: float
    ) -> UpstreamResponse:
        self.breaker.check()
        await self._wait_for_limit(until)
        began = time.perf_counter()
        outcome = "cancelled"
        upstream_id = None
        try:
            with self.breaker.attempt():
                response = await self._send_once(request, until)
            outcome = str(response.status)
            upstream_id = _upstream_id(response)
        except UpstreamFailure as failure:
            outcome = failure.outcome
            raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.record_attempt(self._department, request.operation, outcome, seconds)
            log.info(
                "upstream.attempted",
                extra={
                    "department": self._department,
                    "operation": request.operation,
                    "method": request.method,
                    "route": request.route,
                    "outcome": outcome,
                    "attempt": number,
                    "duration_ms": round(seconds * 1000, 1),
                    "correlation_id": request.correlation_id,
                    "upstream_id": upstream_id,
                },
            )
        return response

    async def _wait_for_limit(self, until: float) -> None:
        """Wait until the rate limit allows one more call."""
        if self._limiter is None:
            return
        try:
            async with asyncio.timeout_at(until):
                await self._limiter.acquire()
        except TimeoutError:
            # govid's own rate limit; the department has not failed.
            raise UpstreamRateLimited(self._department, "own limit") from None

    async def _send_once(self, request: UpstreamRequest, until: float) -> UpstreamResponse:
        try:
            async with asyncio.timeout_at(until), self._open_response(request) as response:
                self._check_head(response)
                body = await self._read_body(response)
        except TimeoutError:
            raise UpstreamUnavailable(self._department, "deadline") from None
        except httpx.RequestError as error:
            # Without the cause: it contains the request, with its URL and headers (I9).
            raise TransientUnavailable(self._department, type(error).__name__) from None
        upstream_response = UpstreamResponse(
            department=self._department,
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
        )
        if body and _media_type(upstream_response) not in request.accepts:
            raise UnusableResponse(self._department, "content type")
        return upstream_response

    @asynccontextmanager
    async def _open_response(
        self, upstream_request: UpstreamRequest
    ) -> AsyncIterator[httpx.Response]:
        request = self._http.build_request(
            upstream_request.method,
            f"{self.base_url}{upstream_request.path}",
            params=list(upstream_request.query) or None,
            headers={
                "Accept": ", ".join(upstream_request.accepts),
                "Accept-Encoding": "identity",
                **upstream_request.headers,
            },
            content=upstream_request.body,
            timeout=httpx.Timeout(self._policy.total_seconds, connect=self._policy.connect_seconds),
        )
        response = await self._http.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    def _check_head(self, response: httpx.Response) -> None:
        """Reject an unusable response by its head alone, before any of its body is read.

        Raises:
            UpstreamFailure: the response cannot be used.
        """
        if self._refuse_simulators and SIMULATOR_HEADER_NAME in response.headers:
            raise UnexpectedSimulator(self._department, "simulator")
        status = response.status_code
        wait = parse_retry_after(response.headers.get("retry-after"))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise UpstreamRateLimited(self._department, "429", retry_after=wait)
        if status in TRANSIENT_STATUSES:
            raise TransientUnavailable(self._department, str(status), retry_after=wait)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UpstreamUnavailable(self._department, str(status), retry_after=wait)
        if not HTTPStatus.OK <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnusableResponse(self._department, "status")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise UnusableResponse(self._department, "redirect")
        if response.headers.get("content-encoding", "identity") != "identity":
            # It was not requested, and a few compressed bytes may expand to a gigabyte.
            raise UnusableResponse(self._department, "content encoding")

    async def _read_body(self, response: httpx.Response) -> bytes:
        chunks, size = [], 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > self._policy.body_bytes:
                raise UnusableResponse(self._department, "too long")
            chunks.append(chunk)
        return b"".join(chunks)


def _media_type(response: UpstreamResponse) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _upstream_id(response: UpstreamResponse) -> str | None:
    """Return the department's own id of this exchange, if it sends one."""
    for name in ("x-request-id", "x-amz-cf-id", "correlationid"):
        if value := response.headers.get(name):
            return value[:64]
    return None
