"""How late the event loop comes to what is due: where somebody blocks it, everybody waits."""

import asyncio
from collections import deque
from time import monotonic

PERIOD_SECONDS = 0.25
REMEMBERED = 60
"""So many looks are remembered: a quarter of a minute."""


class LoopLag:
    """Looks at the clock four times a second."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._late: deque[float] = deque([0.0], maxlen=REMEMBERED)

    @property
    def worst(self) -> float:
        """By how many seconds the loop was late, at its worst in the last 15 seconds."""
        return max(self._late)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            began = monotonic()
            await asyncio.sleep(PERIOD_SECONDS)
            self._late.append(max(0.0, monotonic() - began - PERIOD_SECONDS))
