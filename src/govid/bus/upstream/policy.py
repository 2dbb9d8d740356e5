"""Defines the limits of requests to one API: timeouts, retries, rate, circuit breaker."""

import msgspec


class RequestPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The retry, timeout, rate-limit and circuit-breaker settings of one API."""

    connect_seconds: float = 2
    total_seconds: float = 10
    """The deadline of everything together: the rate limit, all attempts, and the backoff."""
    attempts: int = 3
    """How often a repeatable request is sent at most."""
    first_pause_seconds: float = 0.3
    """The longest backoff after the first attempt; it doubles with each attempt."""
    longest_pause_seconds: float = 3
    per_second: float | None = None
    """How many requests may be sent in a second; None means no limit."""
    body_bytes: int = 1024 * 1024
    failures_to_open: int = 5
    """How many consecutive failures open the circuit breaker."""
    rest_seconds: float = 15
    """How long the circuit breaker stays open before it lets a probe through."""
