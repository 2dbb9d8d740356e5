"""Retry with backoff: whether and when a request is sent again."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from govid.bus.upstream.errors import UpstreamRateLimited, UpstreamUnavailable
from govid.bus.upstream.policy import RequestPolicy

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
            multiplier=policy.first_pause_seconds, max=policy.longest_pause_seconds
        )
        self._spread = policy.first_pause_seconds

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = getattr(error, "retry_after", None)
        if asked is None:
            return self._jitter(retry_state)
        # Callers that received the same value would otherwise retry at the same moment.
        return float(asked) + random.uniform(0, self._spread)  # noqa: S311 - no secret


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, TransientUnavailable | UpstreamRateLimited)
