"""HTTP client for departments, with deadlines, retries, rate limits and circuit breakers.

It is no part of the event bus, and knows no event. A module builds one `Department`, creates an
`UpstreamClient` for each API, and sends an `UpstreamRequest`. Any failure is an `UpstreamFailure`,
which is an `Outage`: a handler that meets it spends no attempt. Not inside: the meaning of a
response, which the module decides.
"""

from govid.bus.upstream.api import Api, Limiter, paced
from govid.bus.upstream.authorised import Authorised
from govid.bus.upstream.breaker import Breaker, BreakerState
from govid.bus.upstream.calls import Answer, Call
from govid.bus.upstream.department import Department, in_process
from govid.bus.upstream.errors import (
    AuthFailed,
    Misconfigured,
    RateLimited,
    Unavailable,
    Unusable,
    UpstreamFailure,
)
from govid.bus.upstream.metrics import UpstreamMetrics
from govid.bus.upstream.policy import Policy
from govid.bus.upstream.tokens import Token, TokenCache

__all__ = [
    "Answer",
    "Api",
    "AuthFailed",
    "Authorised",
    "Breaker",
    "BreakerState",
    "Call",
    "Department",
    "Limiter",
    "Misconfigured",
    "Policy",
    "RateLimited",
    "Token",
    "TokenCache",
    "Unavailable",
    "Unusable",
    "UpstreamFailure",
    "UpstreamMetrics",
    "in_process",
    "paced",
]
