"""How far long work is: a bar on a terminal, a line every five seconds without one."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from govid.gateway.cli.output import note

LINE_SECONDS = 5.0


class Progress:
    """Shows *phase*, done of total, the rate and the time left. Always on stderr."""

    def __init__(self, phase: str, total: int) -> None:
        """Prepare to count to *total*."""
        self._phase = phase
        self._total = total
        self._began = self._told = time.monotonic()
        self._bar = (
            Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.speed:.0f}/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            if sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Self:
        """Show the bar."""
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._phase, total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def at(self, done: int) -> None:
        """Say that *done* items are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
            return
        now = time.monotonic()
        if now - self._told >= LINE_SECONDS:
            self._told = now
            rate = done / (now - self._began)
            note(f"{self._phase}: {done} of {self._total}, {rate:.0f}/s")
