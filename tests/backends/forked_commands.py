"""Runs `govid` commands as processes that need not import it: a warm process is forked for each.

A test that starts a hundred commands would spend most of its time on imports. Each process is a
real one: its settings, folder, signals and exit code are its own.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import TextIOBase
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from govid.gateway.cli import main

WARM = (
    "govid.gateway.app",
    "govid.gateway.cli.check",
    "govid.gateway.cli.commands",
    "govid.gateway.cli.migrate",
    "govid.gateway.cli.outbox.inspection",
    "govid.gateway.cli.serving.serve",
    "tests.backends.forked_commands",
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(WARM))


@contextmanager
def started(
    *arguments: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple[BaseProcess, TextIOBase]]:
    """Yield a process that runs `govid` with *arguments*, and both of its outputs as one text.

    It is killed at the end of the block, if it has not ended by itself.
    """
    reader, writer = _context.Pipe(duplex=False)
    process = _context.Process(target=_run, args=(arguments, folder, dict(environment), writer))
    process.start()
    writer.close()
    try:
        with reader, os.fdopen(os.dup(reader.fileno()), encoding="utf-8") as text:
            yield process, text
    finally:
        process.kill()
        process.join()


def run(
    *arguments: str, folder: Path, environment: Mapping[str, str], seconds: float = 60
) -> tuple[int | None, list[str]]:
    """Run `govid` with *arguments*; return its exit code and the lines of both outputs."""
    with started(*arguments, folder=folder, environment=environment) as (process, text):
        lines = text.read().splitlines()
        process.join(seconds)
        return process.exitcode, lines


def _run(
    arguments: tuple[str, ...], folder: Path, environment: dict[str, str], writer: Connection
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor in (1, 2):
        os.dup2(writer.fileno(), descriptor)
    writer.close()
    sys.argv = ["govid", *arguments]
    main()
