"""The way to systems that are not ours: one client for a department, and all its precautions.

A module builds one `Department`, asks it for an `Api` each, and sends `Call`s. Whatever goes wrong
on the way is an `UpstreamFailure`, which is an `Outage`: it costs an event no attempt. What an
answer means is the module's business.
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
