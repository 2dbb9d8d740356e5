"""Tracks which connections were made before their server stopped accepting writes (fail-over).

After a fail-over new connections reach the new primary, while old sessions stay on a server that
has become a standby. Each of them would work for reads and fail for writes. So the first error
that shows this ends a *generation*: every pool closes connections of an older generation when they
are returned, or before they are lent again.
"""

import logging
from collections.abc import Callable
from time import monotonic

from govid.bus.storage.errors import sqlstate

log = logging.getLogger(__name__)

READ_ONLY = "25006"
MIN_GENERATION_SECONDS = 1.0
"""The minimum time between two generations: a read-only server is reconnected once a second."""


class ConnectionGeneration:
    """The current generation number, with which pools compare that of a connection."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Begin with generation 0; *clock* is monotonic."""
        self.number = 0
        self._clock = clock
        self._ended_at = float("-inf")
        self._listeners: list[Callable[[], None]] = []

    def on_end(self, listener: Callable[[], None]) -> None:
        """Call *listener* whenever a generation has ended."""
        self._listeners.append(listener)

    def end(self) -> None:
        """Make all existing connections outdated, at most once a second."""
        if self._clock() - self._ended_at < MIN_GENERATION_SECONDS:
            return
        self._ended_at = self._clock()
        self.number += 1
        log.warning("database.read_only", extra={"generation": self.number})
        for listener in self._listeners:
            listener()

    def check_error(self, error: BaseException) -> None:
        """End the generation if *error* shows that the server accepts no writes."""
        if sqlstate(error) == READ_ONLY:
            self.end()
