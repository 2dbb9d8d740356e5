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

from govid.bus.upstream.breaker import Breaker
from govid.bus.upstream.calls import Answer, Call
from govid.bus.upstream.errors import (
    Misconfigured,
    RateLimited,
    Unavailable,
    Unusable,
    UpstreamFailure,
)
from govid.bus.upstream.metrics import UpstreamMetrics
from govid.bus.upstream.policy import Policy
from govid.bus.upstream.retries import PASSING, TransientFailure, retry_after, retrying

log = logging.getLogger(__name__)

SIMULATOR = "x-simulator"
"""The header that marks the responses of a simulator."""

Sent = Callable[[], Call]


class Limiter:
    """A rate limit that several APIs share: calls are sent one at a time, at even intervals.

    A burst would exceed the limit of a department that counts over short intervals.
    """

    def __init__(self, per_second: float, *, behind: "Limiter | None" = None) -> None:
        """Allow *per_second* calls; each call also counts towards the limit *parent*."""
        self._per_second = per_second
        self._turns = AsyncLimiter(1, 1 / per_second)
        self._behind = behind

    def reserving(self, per_second: float) -> "Limiter":
        """Return a limit for low-priority calls that reserves *per_second* calls for all others."""
        return Limiter(self._per_second - per_second, behind=self)

    async def acquire(self) -> None:
        """Wait until the limit allows one more call."""
        await self._turns.acquire()
        if self._behind is not None:
            await self._behind.acquire()


def paced(per_second: float | None) -> Limiter | None:
    """Return a rate limit of *per_second* calls; None means no limit."""
    return Limiter(per_second) if per_second else None


class Api:
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
        policy: Policy,
        *,
        refuse_simulators: bool,
        limiter: Limiter | None = None,
    ) -> None:
        """Send requests below *base_url* with *http*; several clients may share one *limiter*."""
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.breaker = Breaker(
            department, failures=policy.failures_to_open, rest_seconds=policy.rest_seconds
        )
        self._department = department
        self._http = http
        self._metrics = metrics
        self._policy = policy
        self._refuse_simulators = refuse_simulators
        self._limiter = limiter or paced(policy.per_second)
        metrics.breaker(department, name, self.breaker.state)
        self.breaker.listen(lambda state: metrics.breaker(department, name, state))

    async def send(self, call: Call | Sent) -> Answer:
        """Send *request* and return the response, within the deadline.

        If *request* is a function, it builds the request for each attempt; its first result decides
        whether the request may be repeated.

        Raises:
            UpstreamFailure: there is no response, or none that can be used.
        """
        make: Sent = (lambda: call) if isinstance(call, Call) else call
        until = asyncio.get_running_loop().time() + self._policy.total_seconds
        current = make()
        async for attempt in retrying(self._policy, repeatable=current.repeatable):
            with attempt:
                return await self._attempt(current, attempt.retry_state.attempt_number, until)
            current = make()
        raise AssertionError("the loop ends with a response or an error")

    def refuse_other_subject(self) -> NoReturn:
        """Reject a response about another person or appointment than was requested.

        It is logged and counted, so that an operator is alerted.

        Raises:
            Unusable: always.
        """
        self._metrics.wrong_answer(self._department)
        log.error("department.answered_about_another", extra={"department": self._department})
        raise Unusable(self._department, "another subject")

    async def _attempt(self, call: Call, number: int, until: float) -> Answer:
        self.breaker.check()
        await self._wait_for_limit(until)
        began = time.perf_counter()
        outcome = "cancelled"
        upstream_id = None
        try:
            with self.breaker.attempt():
                answer = await self._exchange(call, until)
            outcome = str(answer.status)
            upstream_id = _upstream_id(answer)
        except UpstreamFailure as failure:
            outcome = failure.outcome
            raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.attempted(self._department, call.operation, outcome, seconds)
            log.info(
                "upstream.attempted",
                extra={
                    "department": self._department,
                    "operation": call.operation,
                    "method": call.method,
                    "route": call.route,
                    "outcome": outcome,
                    "attempt": number,
                    "duration_ms": round(seconds * 1000, 1),
                    "correlation_id": call.correlation_id,
                    "upstream_id": upstream_id,
                },
            )
        return answer

    async def _wait_for_limit(self, until: float) -> None:
        """Wait until the rate limit allows one more call."""
        if self._limiter is None:
            return
        try:
            async with asyncio.timeout_at(until):
                await self._limiter.acquire()
        except TimeoutError:
            # govid's own rate limit; the department has not failed.
            raise RateLimited(self._department, "own limit") from None

    async def _exchange(self, call: Call, until: float) -> Answer:
        try:
            async with asyncio.timeout_at(until), self._open_response(call) as response:
                self._check_head(response)
                body = await self._read_body(response)
        except TimeoutError:
            raise Unavailable(self._department, "deadline") from None
        except httpx.RequestError as error:
            # Without the cause: it contains the request, with its URL and headers (I9).
            raise TransientFailure(self._department, type(error).__name__) from None
        answer = Answer(
            api=self._department,
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
        )
        if body and _media_type(answer) not in call.accepts:
            raise Unusable(self._department, "content type")
        return answer

    @asynccontextmanager
    async def _open_response(self, call: Call) -> AsyncIterator[httpx.Response]:
        request = self._http.build_request(
            call.method,
            f"{self.base_url}{call.path}",
            params=list(call.query) or None,
            headers={
                "Accept": ", ".join(call.accepts),
                "Accept-Encoding": "identity",
                **call.headers,
            },
            content=call.body,
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
        if self._refuse_simulators and SIMULATOR in response.headers:
            raise Misconfigured(self._department, "simulator")
        status = response.status_code
        wait = retry_after(response.headers.get("retry-after"))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise RateLimited(self._department, "429", retry_after=wait)
        if status in PASSING:
            raise TransientFailure(self._department, str(status), retry_after=wait)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(self._department, str(status), retry_after=wait)
        if not HTTPStatus.OK <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unusable(self._department, "status")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise Unusable(self._department, "redirect")
        if response.headers.get("content-encoding", "identity") != "identity":
            # It was not requested, and a few compressed bytes may expand to a gigabyte.
            raise Unusable(self._department, "content encoding")

    async def _read_body(self, response: httpx.Response) -> bytes:
        chunks, size = [], 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > self._policy.body_bytes:
                raise Unusable(self._department, "too long")
            chunks.append(chunk)
        return b"".join(chunks)


def _media_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _upstream_id(answer: Answer) -> str | None:
    """Return the department's own id of this exchange, if it sends one."""
    for name in ("x-request-id", "x-amz-cf-id", "correlationid"):
        if value := answer.headers.get(name):
            return value[:64]
    return None
