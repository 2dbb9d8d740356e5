"""`govid audit export`: writes entries as JSON lines, for an archive."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
import rich_click

from govid.bus.audit.search import EntryFilter, FoundEntry
from govid.gateway.cli.audit.views import open_view, restricted_options
from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.filters import MOMENT, check_period
from govid.gateway.cli.output import Output, escape_text, print_note


@click.command(
    "export",
    cls=rich_click.RichCommand,
    epilog="Example: govid audit export --since 2026-01-01 --until 2026-02-01 --output 1.jsonl",
)
@click.option(
    "--since", type=MOMENT, required=True, help="Entries from this time, or age (15m, 2h, 7d)."
)
@click.option("--until", type=MOMENT, help="Only entries before this time or age.")
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file.  [default: stdout]",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@restricted_options
def export(
    *,
    since: datetime,
    until: datetime | None,
    path: Path | None,
    force: bool,
    restricted: bool,
    reason: str | None,
) -> None:
    """Write entries as JSON lines: content, authentication code, and leaf if it is sealed.

    The leaf's hash is SHA-256 of a zero byte and the content (RFC 6962). This export is recorded in
    the log, too. Export periods that have ended: entries that are being written are left out.
    """
    check_period(since, until)
    if path is not None and path.exists() and not force:
        raise _refuse_existing(path)
    wanted = EntryFilter(since=since, until=until)

    async def write_all() -> int:
        async with open_view(
            "audit export", wanted, restricted=restricted, reason=reason
        ) as audit_search:
            entries = audit_search.find(wanted, with_restricted=restricted)
            with _open_writer(path, replaces=force) as write:
                return await _write_entries(entries, write, path)

    count = asyncio.run(write_all())
    print_note(f"{count} entries were written{f' to {path}' if path else ''}.")


async def _write_entries(
    entries: AsyncIterator[FoundEntry], write: Callable[[Any], None], path: Path | None
) -> int:
    count = 0
    try:
        async for entry in entries:
            write(_build_line(entry))
            count += 1
    except BaseException:
        target = "the output" if path is None else str(path)
        print_note(f"After {count} entries the export ended early: {target} is incomplete.")
        raise
    return count


def _build_line(entry: FoundEntry) -> dict[str, Any]:
    line = {
        "position": entry.position,
        "index": entry.index,
        "leaf_hash": None if entry.leaf_hash is None else entry.leaf_hash.hex(),
        "mac": entry.mac.hex(),
        **_encode_content(entry.content),
    }
    return {**line, "restricted": entry.restricted} if entry.restricted else line


def _encode_content(content: bytes) -> dict[str, str]:
    """Return *content* as text; a changed one that is no text, as base64."""
    try:
        return {"content": content.decode()}
    except UnicodeDecodeError:
        return {"content_base64": base64.b64encode(content).decode()}


@contextmanager
def _open_writer(path: Path | None, *, replaces: bool) -> Iterator[Callable[[Any], None]]:
    """Yield a function that writes one line, to stdout or to the file at *path*.

    Raises:
        CommandRefused: the file exists and is not to be replaced.
        CommandError: it cannot be written.
    """
    if path is None:
        output = Output(as_json=True)
        yield lambda value: output.print_item(value, "")
        return
    with _explained_errors(path):
        # Only its owner may read it: it says who did what.
        mode = os.O_TRUNC if replaces else os.O_EXCL
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o600)
    file = os.fdopen(descriptor, "wb")
    try:
        yield partial(_write_line, file, path)
    finally:
        with _explained_errors(path):
            file.close()


def _write_line(file: BinaryIO, path: Path, value: Any) -> None:
    # Escaped as on a terminal: an archive is read with `less`, and JSON keeps its meaning.
    line = escape_text(msgspec.json.encode(value).decode())
    with _explained_errors(path):
        file.write(line.encode() + b"\n")


@contextmanager
def _explained_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise _refuse_existing(path) from error
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {os.strerror(error.errno or 0)}.",
            "Choose another --output, or free space on its disk.",
        ) from error


def _refuse_existing(path: Path) -> CommandRefused:
    return CommandRefused(
        f"{path} exists; nothing was written.", "Give another --output, or --force to replace it."
    )
