"""Takes a process out of service before it stops, so that clients do not notice the stop.

A load balancer learns from `/health/ready` that a process no longer accepts requests. Until it has
asked, it sends further requests, and they are answered.
"""

from collections.abc import Awaitable, Callable
from time import monotonic


class ConnectionDrain:
    """The time between the request to stop and the end of the listener."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Drain for *seconds*; with 0 the process stops at once."""
        self.seconds = seconds
        self._is_draining = False

    @property
    def is_draining(self) -> bool:
        """Whether the process is about to stop.

        It then reports that it is not ready, and each answer ends its connection.
        """
        return self._is_draining

    async def run(self, wait_for_tick: Callable[[float], Awaitable[bool]]) -> None:
        """Drain, until the time is over or *wait_for_tick* returns false.

        *wait_for_tick* gets the seconds that are left, and waits at most that long.
        """
        self._is_draining = True
        ends_at = monotonic() + self.seconds
        while (left := ends_at - monotonic()) > 0:
            if not await wait_for_tick(left):
                return
