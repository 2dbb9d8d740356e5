"""HTTP client for departments, with deadlines, retries, rate limits and circuit breakers.

It is no part of the event bus, and knows no event. A module builds one `Department`, creates an
`UpstreamClient` for each API, and sends an `UpstreamRequest`. Any failure is an `UpstreamFailure`,
which is an `Outage`: a handler that meets it spends no attempt. Not inside: the meaning of a
response, which the module decides.
"""

from govid.bus.upstream.client import RequestLimiter, UpstreamClient, rate_limited
from govid.bus.upstream.department import Department, in_process_transport
from govid.bus.upstream.models import (
    CredentialsRejected,
    UnexpectedSimulator,
    UnusableResponse,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamUnavailable,
)
from govid.bus.upstream.resilience import (
    BreakerState,
    CircuitBreaker,
    RequestPolicy,
    UpstreamMetrics,
)
from govid.bus.upstream.tokens import (
    AuthorisedClient,
    BearerToken,
    TokenCache,
    TokenClient,
    build_token_request,
)

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
    "TokenClient",
    "UnexpectedSimulator",
    "UnusableResponse",
    "UpstreamClient",
    "UpstreamFailure",
    "UpstreamMetrics",
    "UpstreamRateLimited",
    "UpstreamRequest",
    "UpstreamResponse",
    "UpstreamUnavailable",
    "build_token_request",
    "in_process_transport",
    "rate_limited",
]
