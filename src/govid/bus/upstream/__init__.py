"""HTTP client for departments, with deadlines, retries, rate limits and circuit breakers.

It is no part of the event bus, and knows no event. A module builds one `Department`, creates an
`UpstreamClient` for each API, and sends an `UpstreamRequest`. Any failure is an `UpstreamFailure`,
which is an `Outage`: a handler that meets it spends no attempt. Not inside: the meaning of a
response, which the module decides.
"""

from govid.bus.upstream.api import RequestLimiter, UpstreamClient, rate_limited
from govid.bus.upstream.authorised import AuthorisedClient
from govid.bus.upstream.breaker import BreakerState, CircuitBreaker
from govid.bus.upstream.calls import UpstreamRequest, UpstreamResponse
from govid.bus.upstream.department import Department, in_process_transport
from govid.bus.upstream.errors import (
    CredentialsRejected,
    UnexpectedSimulator,
    UnusableResponse,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from govid.bus.upstream.metrics import UpstreamMetrics
from govid.bus.upstream.policy import RequestPolicy
from govid.bus.upstream.tokens import BearerToken, TokenCache

__all__ = [
    "AuthorisedClient",
    "BearerToken",
    "BreakerState",
    "CircuitBreaker",
    "CredentialsRejected",
    "Department",
    "RequestLimiter",
    "RequestPolicy",
    "TokenCache",
    "UnexpectedSimulator",
    "UnusableResponse",
    "UpstreamClient",
    "UpstreamFailure",
    "UpstreamMetrics",
    "UpstreamRateLimited",
    "UpstreamRequest",
    "UpstreamResponse",
    "UpstreamUnavailable",
    "in_process_transport",
    "rate_limited",
]
