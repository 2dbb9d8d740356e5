"""Asks the operator at the terminal for a confirmation or a line of text."""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click


def confirm(question: str, *, yes: bool) -> None:
    """Ask the operator to confirm, unless the option *yes* was given.

    Raises:
        click.Abort: the answer is no, the input has ended, or Ctrl-C was pressed.
        click.UsageError: there is no terminal to ask at.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal there is no prompt: give --yes.")
    answer = ""
    while answer not in {"y", "yes", "n", "no"}:
        answer = _ask(f"{question} [y/N]: ").casefold() or "n"
    if answer in {"n", "no"}:
        raise click.Abort


def prompt_line(question: str) -> str:
    """Return the answer to *question*, or the first line of standard input if that is a pipe.

    Raises:
        click.Abort: the input has ended, or Ctrl-C was pressed.
    """
    if not sys.stdin.isatty():
        with _interruptible():
            return sys.stdin.readline().strip()
    answer = ""
    while not answer:
        answer = _ask(f"{question}: ")
    return answer


def _ask(prompt: str) -> str:
    """Return the line that is typed after *prompt*, without surrounding spaces."""
    with _interruptible() as interrupts:
        click.echo(prompt, err=True, nl=False)
        # The wait is here and not in `readline`. A Ctrl-C that arrives just before a read blocks
        # would have no effect until the next key, but it always ends this wait.
        select.select([sys.stdin, *interrupts], [], [])
        line = sys.stdin.readline()
    if not line:
        raise click.Abort
    return line.strip()


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Let Ctrl-C end a prompt at once; yield descriptors that become readable when it is pressed.

    A running event loop turns SIGINT into the cancellation of its main task. That task does not run
    while it waits for a key, so without this the first Ctrl-C would have no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []  # Only the main thread receives signals and may set their handlers.
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield [reader]
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(wakeup)
        os.close(reader)
        os.close(writer)
