"""Measures the lag of the event loop: how late it runs what is due, for example when blocked."""

import asyncio
from collections import deque
from time import monotonic

LAG_PERIOD_SECONDS = 0.25
LAG_SAMPLES = 60
"""How many measurements are kept: those of the last 15 seconds."""


class EventLoopLag:
    """Measures the event-loop lag four times a second."""

    def __init__(self) -> None:
        """Begin with a lag of 0."""
        self._delays: deque[float] = deque([0.0], maxlen=LAG_SAMPLES)

    @property
    def worst_seconds(self) -> float:
        """The largest lag of the last 15 seconds, in seconds."""
        return max(self._delays)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            started = monotonic()
            await asyncio.sleep(LAG_PERIOD_SECONDS)
            self._delays.append(max(0.0, monotonic() - started - LAG_PERIOD_SECONDS))
