"""Prints results as text, tables or JSON, and shows the progress of long work.

Results go to stdout, everything else to stderr. A terminal gets tables, a pipe gets columns
separated by tabs. `--json` gives one JSON document, or one line per item of a stream.

On a terminal an identifier is never broken over two lines, so that it can be copied. Progress is a
bar on a terminal, otherwise a line every five seconds.
"""

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])

GAP = 2
"""Spaces between two columns of a table."""
PROSE_WIDTH = 24
"""Least width of a column of prose, whose lines are wrapped at spaces."""
FOLDED_WIDTH = 12
"""Least width of a column that may be folded."""
_FOLDS = " .,;:/?&=_-"
"""A folded cell is broken after one of these characters if it contains one."""
_TOKEN = re.compile(r"\S*`[^`]+`\S*|\S+")


def apply_options(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that adds *options* to a command, in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def json_option(function: F) -> F:
    """Add the option `--json` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(
        function
    )


def print_note(message: str) -> None:
    """Print a message that is not a result to stderr.

    A full disk or a closed pipe behind stderr does not end the command.
    """
    with suppress(OSError):
        click.echo(wrap_text(escape_text(message), terminal_width(sys.stderr)), err=True)


def escape_text(text: str) -> str:
    """Escape all characters of *text* that a terminal would interpret, except line breaks.

    The text may come from any client that can write to a topic. The escapes are those of JSON, so
    that a JSON document keeps its meaning.
    """
    return "".join(
        one if one.isprintable() or one == "\n" else _escape_character(one) for one in text
    )


def escape_line(text: str) -> str:
    """Escape *text* as `escape_text` does, and its line breaks too."""
    return escape_text(text).replace("\n", "\\n")


def _escape_character(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


def terminal_width(stream: Any) -> int | None:
    """Return the number of columns of the terminal behind *stream*; None without a terminal."""
    if not stream.isatty():
        return None
    # Rich is slow to import, and only terminals need it.
    from rich.console import Console  # noqa: PLC0415

    return Console(file=stream).width


def wrap_text(text: str, width: int | None) -> str:
    """Break the lines of *text* at spaces, so that none is longer than *width*.

    A token without spaces stays whole, and so does text between backticks, which is there to be
    copied. If *width* is None, the text is returned unchanged.
    """
    return (
        text if width is None else "\n".join(_wrap_line(line, width) for line in text.split("\n"))
    )


def _wrap_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip(" "))]
    lines = [""]
    for token in _TOKEN.findall(line):
        if lines[-1] and len(indent) + len(lines[-1]) + 1 + len(token) > width:
            lines.append("")
        lines[-1] += f" {token}" if lines[-1] else token
    return "\n".join(indent + one for one in lines)


class Output:
    """Prints results as JSON, as a table or as columns for a pipe."""

    def __init__(self, *, as_json: bool) -> None:
        """Print JSON if *as_json*, otherwise the form that fits stdout."""
        self.as_json = as_json

    def print_document(self, value: Any) -> None:
        """Print *value* as one JSON document."""
        click.echo(escape_text(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))

    def print_item(self, value: Any, text: str) -> None:
        """Print one item of a stream: *value* as a line of JSON, otherwise *text*."""
        if self.as_json:
            click.echo(escape_text(msgspec.json.encode(value).decode()))
        else:
            self.print_text(text)

    def print_text(self, text: str) -> None:
        """Print a paragraph of prose, wrapped on a terminal."""
        click.echo(wrap_text(escape_text(text), terminal_width(sys.stdout)))

    def print_table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        optional_columns: Sequence[str] = (),
        folded_column: str | None = None,
        keep_all: bool = False,
        empty_text: str = "None.",
    ) -> None:
        """Print *rows* under *columns*; in JSON, an array of objects with those names.

        A terminal that is too narrow gets fewer columns. Those named in *optional_columns* are
        omitted first, in that order. Then the cells of *folded_column* are split over several
        lines. Then columns are omitted from the right. The first column is kept unless
        *optional_columns* names it. With *keep_all* no column is omitted: each row is printed as
        a block of lines instead.

        On a terminal a table without rows is replaced by *empty_text*; if that is empty, nothing
        is printed.
        """
        if self.as_json:
            self.print_document([dict(zip(columns, row, strict=True)) for row in rows])
            return
        width = terminal_width(sys.stdout)
        if width is None:
            for line in (columns, *rows):
                click.echo("\t".join(map(_format_for_pipe, line)))
            return
        if not rows:
            if empty_text:
                print_note(empty_text)
            return
        cells = [[_format_for_terminal(value) for value in row] for row in rows]
        kept, needed = _choose_columns(columns, cells, width, optional_columns, folded_column)
        if keep_all and len(kept) < len(columns):
            _print_blocks(columns, cells)
            return
        if folded_column is not None and (index := columns.index(folded_column)) in kept:
            others = sum(needed[one] for one in kept if one != index)
            available = max(width - others - GAP * (len(kept) - 1), FOLDED_WIDTH)
            for row in cells:
                row[index] = "\n".join(_fold(row[index], available))
        _print_table(columns, cells, kept)
        if omitted := [name for name in columns if columns.index(name) not in kept]:
            names = ", ".join(name.replace("_", " ") for name in omitted)
            print_note(f"This terminal is too narrow for: {names}. `--json` has everything.")

    def print_mapping(self, values: Mapping[str, object]) -> None:
        """Print names and values, one per line; in JSON, one object."""
        if self.as_json:
            self.print_document(values)
            return
        if not sys.stdout.isatty():
            for name, value in values.items():
                click.echo(f"{name}\t{_format_for_pipe(value)}")
            return
        width = max(map(len, values), default=0)
        for name, value in values.items():
            click.echo(f"{name.ljust(width)}  {_format_for_terminal(value)}")


def _choose_columns(
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    width: int,
    optional_columns: Sequence[str],
    folded_column: str | None,
) -> tuple[list[int], list[int]]:
    """Return the indexes of the columns that fit into *width*, and the width of every column."""
    from rich.cells import cell_len  # noqa: PLC0415 - see `terminal_width`

    needed = [len(column) for column in columns]
    for row in cells:
        for index, cell in enumerate(row):
            length = min(cell_len(cell), PROSE_WIDTH) if " " in cell else cell_len(cell)
            needed[index] = max(needed[index], length)
    kept = list(range(len(columns)))
    order = [columns.index(name) for name in optional_columns]
    fold = columns.index(folded_column) if folded_column is not None else None
    order += [] if fold is None else [fold]
    order += [index for index in reversed(range(1, len(columns))) if index not in order]
    for index in order:
        if sum(needed[one] for one in kept) + GAP * (len(kept) - 1) <= width:
            break
        if index == fold:
            needed[index] = min(needed[index], max(FOLDED_WIDTH, len(columns[index])))
        else:
            kept.remove(index)
    return kept, needed


def _fold(cell: str, width: int) -> list[str]:
    """Split *cell* into pieces of at most *width* characters."""
    pieces = []
    while len(cell) > width:
        end = max(cell.rfind(character, width // 2, width) for character in _FOLDS) + 1 or width
        pieces.append(cell[:end])
        cell = cell[end:]
    return [*pieces, cell]


def _print_blocks(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print each row as a block: its first cell, and below it the other cells with their names."""
    for first, *others in cells:
        click.echo(first)
        for name, cell in zip(columns[1:], others, strict=True):
            click.echo(f"  {name.replace('_', ' ')}: {cell}")


def _print_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], kept: Sequence[int]
) -> None:
    from rich.console import Console  # noqa: PLC0415 - see `terminal_width`
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for index in kept:
        is_prose = any(" " in row[index] or "\n" in row[index] for row in cells)
        table.add_column(
            columns[index].replace("_", " "),
            no_wrap=not is_prose,
            min_width=len(columns[index]),
            overflow="fold",
        )
    for row in cells:
        table.add_row(*(Text(row[index]) for index in kept))
    Console(soft_wrap=False).print(table)


def _format_for_terminal(value: object) -> str:
    """Format *value* for a terminal: times to the second, control characters escaped."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _format_for_pipe(value)


def _format_for_pipe(value: object) -> str:
    """Format *value* for a pipe: one line, with tabs and control characters escaped."""
    return escape_line(_format_value(value))


def _format_value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, (Mapping, list, tuple)):
        return msgspec.json.encode(value).decode()
    return str(value)


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
