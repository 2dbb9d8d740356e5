"""Shows the progress of long work: a bar on a terminal, otherwise a line every five seconds."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from govid.gateway.cli.output import print_note

LINE_SECONDS = 5.0


class ProgressDisplay:
    """Shows the phase, the count, the rate and the remaining time on stderr."""

    def __init__(self, phase: str, total: int) -> None:
        """Prepare to count to *total* items of *phase*."""
        self._phase = phase
        self._total = total
        self._started_at = self._reported_at = time.monotonic()
        self._bar = _create_bar() if sys.stderr.isatty() else None

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
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int) -> None:
        """Report that *done* items are done. The total grows if *done* exceeds it."""
        self._total = max(self._total, done)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self._total)
            return
        now = time.monotonic()
        if now - self._reported_at >= LINE_SECONDS:
            self._reported_at = now
            rate = done / (now - self._started_at)
            print_note(f"{self._phase}: {done} of {self._total}, {rate:.0f}/s")


def _create_bar() -> Any:
    """Return a `rich.progress.Progress`. Rich is slow to import, and only terminals need it."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(ProgressColumn):
        """Items per second; no rate is known before the second update."""

        def render(self, task: Task) -> Text:
            return Text("-/s" if task.speed is None else f"{task.speed:.0f}/s")

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
