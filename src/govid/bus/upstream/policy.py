"""How patient and how careful calls to one API are."""

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one API. Durations are in seconds."""

    connect_seconds: float = 2
    total_seconds: float = 10
    """For everything together: waiting for one's turn, all attempts, and the pauses between."""
    attempts: int = 3
    """How often a call that may be repeated is sent at most."""
    first_pause_seconds: float = 0.3
    """The longest pause after the first attempt; it doubles with each."""
    longest_pause_seconds: float = 3
    per_second: float | None = None
    """How many calls may leave in a second; without a value, as many as come."""
    body_bytes: int = 1024 * 1024
    failures_to_open: int = 5
    """How many failures in a row open the breaker."""
    rest_seconds: float = 15
    """How long an open breaker rests before it lets one call through to see."""
