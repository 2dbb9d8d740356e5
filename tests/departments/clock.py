"""A clock for simulators, whose tokens and records expire after hours or days."""

from datetime import UTC, datetime, timedelta


class MovingClock:
    """The machine's clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead
