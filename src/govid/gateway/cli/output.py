"""Results for people and for scripts.

Results go to stdout, everything else to stderr. A terminal gets tables, a pipe gets columns
separated by tabs, `--json` gives JSON: one document, or for streams one line an item.

On a terminal an identifier is never broken over two lines, because it is copied from there.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])

GAP = 2
"""Blanks between two columns of a table."""
PROSE_WIDTH = 24
"""A column of prose is not made narrower than this; its lines are wrapped at blanks."""
FOLDED_WIDTH = 12
"""A column that may be folded is not made narrower than this."""
_FOLDS = " .,;:/?&=_-"
"""A folded cell is broken behind one of these, if there is one."""
_TOKEN = re.compile(r"\S*`[^`]+`\S*|\S+")


def json_option(function: F) -> F:
    """Give a command the option `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(
        function
    )


def note(message: str) -> None:
    """Tell the person at the terminal something that is no result.

    A disk that is too full for it, or a reader that has gone, ends nothing.
    """
    with suppress(OSError):
        click.echo(wrapped(escaped(message), terminal_width(sys.stderr)), err=True)


def escaped(text: str) -> str:
    """Return *text* with nothing in it that a terminal would obey, and its line breaks.

    What is printed may come from anybody who can write to a topic. The escapes are those of JSON,
    so that a document stays the same document.
    """
    return "".join(one if one.isprintable() or one == "\n" else _escape(one) for one in text)


def one_line(text: str) -> str:
    """Return *text* as `escaped` does, without line breaks."""
    return escaped(text).replace("\n", "\\n")


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


def terminal_width(stream: Any) -> int | None:
    """Return how many columns the terminal behind *stream* has, None if there is no terminal."""
    if not stream.isatty():
        return None
    # Rich takes a noticeable time to import; only terminals need it.
    from rich.console import Console  # noqa: PLC0415

    return Console(file=stream).width


def wrapped(text: str, width: int | None) -> str:
    """Return *text* with its lines broken at blanks, so that none is longer than *width*.

    A word stays whole, and so does what stands between backticks: it is there to be copied. A None
    as *width* leaves the text as it is.
    """
    return (
        text
        if width is None
        else "\n".join(_wrapped_line(line, width) for line in text.split("\n"))
    )


def _wrapped_line(line: str, width: int) -> str:
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
    """Prints results in the form that the reader wants."""

    def __init__(self, *, as_json: bool) -> None:
        """Print JSON if *as_json*, else what suits the reader of stdout."""
        self.as_json = as_json

    def document(self, value: Any) -> None:
        """Print *value* as one JSON document."""
        click.echo(escaped(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))

    def line(self, value: Any, text: str) -> None:
        """Print one item of a stream: *value* as a line of JSON, or *text*."""
        if self.as_json:
            click.echo(escaped(msgspec.json.encode(value).decode()))
        else:
            self.text(text)

    def text(self, text: str) -> None:
        """Print a paragraph of prose, wrapped if it goes to a terminal."""
        click.echo(wrapped(escaped(text), terminal_width(sys.stdout)))

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        least: Sequence[str] = (),
        folded: str | None = None,
        is_whole: bool = False,
        nothing: str = "None.",
    ) -> None:
        """Print *rows* under *columns*; in JSON, an array of objects with those names.

        On a terminal that is too narrow, columns are left out: those named in *least* first, in
        that order. Then the cells of the column *folded* go over several lines. Then columns are
        left out from the right. The first column stays, unless *least* names it. A table that
        *is_whole* leaves nothing out: it prints each row as a block of lines instead.

        On a terminal a table without rows is the sentence *nothing*, or not there if that is empty.
        """
        if self.as_json:
            self.document([dict(zip(columns, row, strict=True)) for row in rows])
            return
        width = terminal_width(sys.stdout)
        if width is None:
            for line in (columns, *rows):
                click.echo("\t".join(map(_piped, line)))
            return
        if not rows:
            if nothing:
                note(nothing)
            return
        cells = [[_seen(value) for value in row] for row in rows]
        kept, needed = _fitting(columns, cells, width, least, folded)
        if is_whole and len(kept) < len(columns):
            _draw_blocks(columns, cells)
            return
        if folded is not None and (place := columns.index(folded)) in kept:
            others = sum(needed[one] for one in kept if one != place)
            room = max(width - others - GAP * (len(kept) - 1), FOLDED_WIDTH)
            for row in cells:
                row[place] = "\n".join(_folded(row[place], room))
        _draw(columns, cells, kept)
        if left_out := [name for name in columns if columns.index(name) not in kept]:
            names = ", ".join(name.replace("_", " ") for name in left_out)
            note(f"This terminal is too narrow for: {names}. `--json` has everything.")

    def mapping(self, values: Mapping[str, object]) -> None:
        """Print names and values, one a line; in JSON, one object."""
        if self.as_json:
            self.document(values)
            return
        if not sys.stdout.isatty():
            for name, value in values.items():
                click.echo(f"{name}\t{_piped(value)}")
            return
        width = max(map(len, values), default=0)
        for name, value in values.items():
            click.echo(f"{name.ljust(width)}  {_seen(value)}")


def _fitting(
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    width: int,
    least: Sequence[str],
    folded: str | None,
) -> tuple[list[int], list[int]]:
    """Return the indexes of the columns that a terminal of *width* has room for.

    Also return how many places each of all columns needs.
    """
    from rich.cells import cell_len  # noqa: PLC0415 - see `terminal_width`

    needed = [len(column) for column in columns]
    for row in cells:
        for place, cell in enumerate(row):
            length = min(cell_len(cell), PROSE_WIDTH) if " " in cell else cell_len(cell)
            needed[place] = max(needed[place], length)
    kept = list(range(len(columns)))
    order = [columns.index(name) for name in least]
    fold = columns.index(folded) if folded is not None else None
    order += [] if fold is None else [fold]
    order += [place for place in reversed(range(1, len(columns))) if place not in order]
    for place in order:
        if sum(needed[one] for one in kept) + GAP * (len(kept) - 1) <= width:
            break
        if place == fold:
            needed[place] = min(needed[place], max(FOLDED_WIDTH, len(columns[place])))
        else:
            kept.remove(place)
    return kept, needed


def _folded(cell: str, width: int) -> list[str]:
    """Return *cell* in pieces of at most *width* characters."""
    pieces = []
    while len(cell) > width:
        end = max(cell.rfind(character, width // 2, width) for character in _FOLDS) + 1 or width
        pieces.append(cell[:end])
        cell = cell[end:]
    return [*pieces, cell]


def _draw_blocks(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print each row as its first cell, and below it the others with their names."""
    for first, *others in cells:
        click.echo(first)
        for name, cell in zip(columns[1:], others, strict=True):
            click.echo(f"  {name.replace('_', ' ')}: {cell}")


def _draw(columns: Sequence[str], cells: Sequence[Sequence[str]], kept: Sequence[int]) -> None:
    from rich.console import Console  # noqa: PLC0415 - see `terminal_width`
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for place in kept:
        is_prose = any(" " in row[place] or "\n" in row[place] for row in cells)
        table.add_column(
            columns[place].replace("_", " "),
            no_wrap=not is_prose,
            min_width=len(columns[place]),
            overflow="fold",
        )
    for row in cells:
        table.add_row(*(Text(row[place]) for place in kept))
    Console(soft_wrap=False).print(table)


def _seen(value: object) -> str:
    """Return *value* as a person reads it: times to the second, and nothing that moves a cursor."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _piped(value)


def _piped(value: object) -> str:
    """Return *value* as a column of its own: in one line, without tabs or anything of the kind."""
    return one_line(_cell(value))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, (Mapping, list, tuple)):
        return msgspec.json.encode(value).decode()
    return str(value)
