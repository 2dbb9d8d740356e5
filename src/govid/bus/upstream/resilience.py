"""Retries with backoff, circuit breaker and metrics of requests to departments (ADR-0018)."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from purgatory.domain.messages.events import ContextChanged
from purgatory.domain.model import Context, HalfOpenedState, OpenedState
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from govid.bus.upstream.models import (
    UnexpectedSimulator,
    UnusableResponse,
    UpstreamRateLimited,
    UpstreamUnavailable,
)


class RequestPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The retry, timeout, rate-limit and circuit-breaker settings of one API."""

    connect_seconds: float = 2
    total_seconds: float = 10
    """The deadline of everything together: the rate limit, all attempts, and the backoff."""
    attempts: int = 3
    """How often a repeatable request is sent at most."""
    first_backoff_seconds: float = 0.3
    """The longest backoff after the first attempt; it doubles with each attempt."""
    max_backoff_seconds: float = 3
    per_second: float | None = None
    """How many requests may be sent in a second; None means no limit."""
    body_bytes: int = 1024 * 1024
    failures_to_open: int = 5
    """How many consecutive failed attempts open the circuit breaker; each retry is an attempt."""
    open_seconds: float = 15
    """How long the circuit breaker stays open before it lets a probe through."""


class BreakerState(StrEnum):
    """Whether a circuit breaker passes calls, refuses them, or lets one probe through."""

    CLOSED = "closed"
    OPEN = "opened"
    HALF_OPEN = "half-opened"


BreakerListener = Callable[[BreakerState], None]


class CircuitBreaker:
    """Circuit breaker of one API: opens after consecutive failures, then lets one probe through.

    *Opens* after `failures` consecutive `UpstreamUnavailable`. Each attempt counts, also a retry.
    `trip` opens it at once: its callers are the clients that get a response which rejects govid's
    credentials. A usable response resets the count, also a refusal or a 429, because the API is
    available.

    `UnusableResponse` and `UnexpectedSimulator` neither count nor reset if they are raised within
    `attempt`. `UpstreamClient` raises them there for the head, the length or the media type. A
    caller that cannot decode the body, or finds another subject in it, raises `UnusableResponse`
    after `attempt`: that response has already counted as usable.

    *Half-opens* with the first call after `open_seconds`. That call is the probe; all other calls
    are refused while it runs. Nothing is sent without a call (see `Department.on_recovery`).

    *Closes*, with a count of zero, when the probe gets a usable response. It opens again for
    `open_seconds` if the probe ends with `UpstreamUnavailable`. It stays half open, so that the
    next call is the probe, if the probe is cancelled or ends with one of the two errors above.

    The library `purgatory` provides the states and the count: `Context.handle_exception` and
    `Context.handle_end_request`. This class adds that only one call at a time is a probe, and that
    a cancelled probe does not change the state.
    """

    def __init__(self, name: str, *, failures: int, open_seconds: float) -> None:
        """Open after *failures* consecutive failures, for *open_seconds*."""
        self._name = name
        self._context = Context(name, failures, open_seconds)
        self._probing = False
        self._listeners: list[BreakerListener] = []

    @property
    def state(self) -> BreakerState:
        """The current state."""
        return BreakerState(self._context.state)

    def add_listener(self, listener: BreakerListener) -> None:
        """Call *listener* with each new state, synchronously."""
        self._listeners.append(listener)

    def trip(self) -> None:
        """Open at once, whatever was counted: the caller knows that no call can succeed."""
        self._context.set_state(OpenedState(self._name))
        self._notify_listeners()

    def check(self) -> None:
        """Check that a call would be passed now.

        Raises:
            UpstreamUnavailable: it would be refused.
        """
        if self._is_open() or self._probing:
            raise UpstreamUnavailable(self._name, "breaker open")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Let one call through, and change the state by its result.

        Raises:
            UpstreamUnavailable: the breaker is open, or another call is the probe.
        """
        self.check()
        if self.state is BreakerState.OPEN:
            self._context.set_state(HalfOpenedState())
            self._notify_listeners()
        probes = self.state is BreakerState.HALF_OPEN
        self._probing = probes
        try:
            yield
        except UpstreamUnavailable as error:
            self._context.handle_exception(error)
            raise
        except (UnusableResponse, UnexpectedSimulator):
            raise
        except Exception:
            # The API refused the call or limited its rate, so it is available.
            self._context.handle_end_request()
            raise
        else:
            self._context.handle_end_request()
        finally:
            if probes:
                self._probing = False
            self._notify_listeners()

    def _is_open(self) -> bool:
        if self.state is not BreakerState.OPEN:
            return False
        # The library raises the same state object each time, and its traceback would grow.
        return time.time() <= (self._context.opened_at or 0) + self._context.ttl

    def _notify_listeners(self) -> None:
        """Notify the listeners of changes; the library keeps its messages until they are read."""
        messages, self._context.messages = self._context.messages, []
        for message in messages:
            if isinstance(message, ContextChanged):
                for listener in self._listeners:
                    listener(BreakerState(message.state))


TRANSIENT_STATUSES = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses of failures that may be transient."""


class TransientUnavailable(UpstreamUnavailable):
    """The department is unavailable, perhaps only briefly."""


def retry_loop(policy: RequestPolicy, *, repeatable: bool) -> AsyncRetrying:
    """Return the retry loop: exponential backoff with full jitter.

    A pause is drawn from the whole of a window that doubles, so that callers that failed together
    do not retry together. A longer pause that the department asks for is kept. No pause starts that
    would outlast the deadline.
    """
    return AsyncRetrying(
        stop=stop_after_attempt(policy.attempts if repeatable else 1)
        | stop_before_delay(policy.total_seconds),
        wait=_Backoff(policy),
        retry=retry_if_exception(_is_transient),
        reraise=True,
    )


def parse_retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, a number or a date (RFC 9110)."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


class _Backoff:
    def __init__(self, policy: RequestPolicy) -> None:
        self._jitter = wait_random_exponential(
            multiplier=policy.first_backoff_seconds, max=policy.max_backoff_seconds
        )
        self._spread = policy.first_backoff_seconds

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = getattr(error, "retry_after", None)
        if asked is None:
            return self._jitter(retry_state)
        # Callers that received the same value would otherwise retry at the same moment.
        return float(asked) + random.uniform(0, self._spread)  # noqa: S311 - no secret


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, TransientUnavailable | UpstreamRateLimited)


DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_NUMBERS: Mapping[BreakerState, int] = {
    BreakerState.CLOSED: 0,
    BreakerState.HALF_OPEN: 1,
    BreakerState.OPEN: 2,
}


class UpstreamMetrics:
    """The metrics of all departments of a process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register in *registry*; None means a private registry that is not exported."""
        registry = registry or CollectorRegistry()
        self._seconds = Histogram(
            "govid_department_seconds",
            "Duration of requests to a department; the outcome is a status or a kind of failure.",
            ["department", "operation", "outcome"],
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._breakers = Gauge(
            "govid_breaker_state",
            "State of the circuit breaker: 0 closed, 1 half open, 2 open (no requests are sent).",
            ["department", "api"],
            registry=registry,
        )

        self._wrong_subjects = Counter(
            "govid_department_wrong_answers_total",
            "Responses about another person or appointment than was requested.",
            ["department"],
            registry=registry,
        )

    def register_department(self, department: str) -> None:
        """Start the series of *department* that an alert watches, at 0."""
        self._wrong_subjects.labels(department)

    def record_attempt(self, department: str, operation: str, outcome: str, seconds: float) -> None:
        """Record one attempt that took *seconds*."""
        self._seconds.labels(department, operation, outcome).observe(seconds)

    def record_wrong_subject(self, department: str) -> None:
        """Count one response that was about another person or appointment."""
        self._wrong_subjects.labels(department).inc()

    def set_breaker_state(self, department: str, api: str, state: BreakerState) -> None:
        """Set the state of the circuit breaker of an API."""
        self._breakers.labels(department, api).set(_NUMBERS[state])
