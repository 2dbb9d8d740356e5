"""Tells which connections were made before the server behind them stopped to accept writes.

After a fail-over new connections reach the new primary, while old sessions stay on a server that
has become a standby. Each of them would work for reads and fail for writes. So the first error
that tells of it ends a *generation*: every pool closes a connection of an older one when it comes
back, or before it is lent again.
"""

import logging
from collections.abc import Callable
from time import monotonic

from govid.bus.storage.errors import sqlstate

log = logging.getLogger(__name__)

READ_ONLY = "25006"
LEAST_SECONDS = 1.0
"""How long a generation lives at least: a server that stays read-only is asked once a second."""


class ConnectionGeneration:
    """A number that connections are compared with."""

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
        """Make every connection that exists an old one, unless that was done just now."""
        if self._clock() - self._ended_at < LEAST_SECONDS:
            return
        self._ended_at = self._clock()
        self.number += 1
        log.warning("database.read_only", extra={"generation": self.number})
        for listener in self._listeners:
            listener()

    def report(self, error: BaseException) -> None:
        """End the generation if *error* says that the server accepts no writes."""
        if sqlstate(error) == READ_ONLY:
            self.end()
