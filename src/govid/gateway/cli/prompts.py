"""Questions to the operator at the terminal."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click


def confirm(question: str, *, yes: bool) -> None:
    """Ask for a yes, unless *yes* was given as an option.

    Raises:
        click.Abort: the answer is no, or Ctrl-C was pressed.
        click.UsageError: there is no terminal to ask at.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal there is no prompt: give --yes.")
    with _interruptible():
        click.confirm(question, abort=True, err=True)


def ask_line(question: str) -> str:
    """Return the answer to *question*, or the first line of standard input if that is a pipe.

    Raises:
        click.Abort: Ctrl-C was pressed.
    """
    with _interruptible():
        if not sys.stdin.isatty():
            return sys.stdin.readline().strip()
        answer: str = click.prompt(question, err=True)
    return answer.strip()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a question at once.

    A running event loop turns SIGINT into the cancellation of its main task. That task does not run
    while it waits for a key, so without this the first Ctrl-C would have no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals arrive in the main thread only, and only that may set their handlers.
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
