"""A clock for simulators, whose tokens and records expire after hours or days."""

from datetime import UTC, datetime, timedelta


class MovingClock:
    """The machine's clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class TickingClock:
    """A monotonic clock whose seconds a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds
