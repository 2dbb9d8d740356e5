"""Where a read of the backlog may begin, so that a long one does not make every read dear.

Once every poll interval a read looks at everything. The reads between begin above a floor, below
which that one found nothing but parked keys and keys in work: else the hundred thousand events
behind a parked key would be passed over again and again.
"""

from time import monotonic

MARGIN = 10_000
"""How far below the first row that could be handled a read still begins.

A transaction that commits late has a position that others have overtaken. As long as fewer than
this many events came between, it is seen at once, else at the next whole read.
"""


class Floor:
    """The floor of one subscriber's reads, in positions of events."""

    def __init__(self, interval_seconds: float) -> None:
        """Look at everything once an interval."""
        self._interval = interval_seconds
        self._position = 0
        self._whole_at = float("-inf")

    @property
    def whole_is_due(self) -> bool:
        """Tell whether the next read has to look at everything."""
        return monotonic() - self._whole_at >= self._interval

    def begin_whole(self) -> None:
        """Note that a read begins which looks at everything."""
        self._whole_at = monotonic()

    @property
    def position(self) -> int:
        """Return the position above which a read may begin."""
        return self._position

    def found(self, lowest: int) -> None:
        """Note that a whole read found nothing that could be handled below *lowest*."""
        self._position = max(0, lowest - MARGIN)
