"""Which signals end a command that serves, in good order and with everything it started."""

import os
import signal
from types import FrameType

STREAMS = (0, 1, 2)


def stop_on_signals() -> None:
    """Let SIGTERM end this process like Ctrl-C, and SIGHUP like SIGTERM.

    A terminal that is closed sends SIGHUP. Under `nohup`, which ignores it, it stays ignored.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stop_on_hangup()


def stop_on_hangup() -> None:
    """Let SIGHUP do what SIGTERM does in this process, unless it is ignored."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return
    terminals = [stream for stream in STREAMS if os.isatty(stream)]

    def hang_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        _replace_dead(terminals)
        # Whoever handles SIGTERM at this moment, for example the server, handles this as well.
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGHUP, hang_up)


def _replace_dead(terminals: list[int]) -> None:
    """Put the null device where a terminal has gone: what is written there would be an error."""
    for stream in terminals:
        if not os.isatty(stream):
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, stream)
            os.close(null)
