"""Signals that stop a serving command in order, together with everything it started."""

import os
import signal
from types import FrameType

STREAMS = (0, 1, 2)


def stop_on_signals() -> None:
    """Handle SIGTERM like Ctrl-C, and SIGHUP like SIGTERM.

    A closed terminal sends SIGHUP. Under `nohup`, which ignores SIGHUP, it stays ignored.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stop_on_hangup()


def stop_on_hangup() -> None:
    """Handle SIGHUP like SIGTERM in this process, unless SIGHUP is ignored."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return
    terminals = [stream for stream in STREAMS if os.isatty(stream)]

    def hang_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        _replace_closed_terminals(terminals)
        # The present handler of SIGTERM, for example the server's, then handles SIGHUP too.
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGHUP, hang_up)


def _replace_closed_terminals(terminals: list[int]) -> None:
    """Replace streams of a closed terminal by the null device, because writing to them fails."""
    for stream in terminals:
        if not os.isatty(stream):
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, stream)
            os.close(null)
