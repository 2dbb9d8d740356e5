"""Results for people and for scripts.

Results go to stdout, everything else to stderr. A terminal gets tables, a pipe gets columns
separated by tabs, `--json` gives JSON: one document, or for streams one line an item.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """Give a command the option `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(
        function
    )


def note(message: str) -> None:
    """Tell the person at the terminal something that is no result."""
    click.echo(message, err=True)


class Output:
    """Prints results in the form that the reader wants."""

    def __init__(self, *, as_json: bool) -> None:
        """Print JSON if *as_json*, else what suits the reader of stdout."""
        self.as_json = as_json

    def document(self, value: Any) -> None:
        """Print *value* as one JSON document."""
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())

    def line(self, value: Any, text: str) -> None:
        """Print one item of a stream: *value* as a line of JSON, or *text*."""
        click.echo(msgspec.json.encode(value).decode() if self.as_json else text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print *rows* under *columns*; in JSON, an array of objects with those names."""
        if self.as_json:
            self.document([dict(zip(columns, row, strict=True)) for row in rows])
        elif sys.stdout.isatty():
            table = Table(box=None, pad_edge=False, header_style="bold")
            for column in columns:
                table.add_column(column.replace("_", " "), overflow="fold")
            for row in rows:
                table.add_row(*map(_cell, row))
            Console(soft_wrap=False).print(table)
        else:
            for line in (columns, *rows):
                click.echo("\t".join(map(_cell, line)))

    def mapping(self, values: Mapping[str, object]) -> None:
        """Print names and values, one a line; in JSON, one object."""
        if self.as_json:
            self.document(values)
            return
        width = max(map(len, values), default=0) if sys.stdout.isatty() else 0
        separator = "  " if sys.stdout.isatty() else "\t"
        for name, value in values.items():
            click.echo(f"{name.ljust(width)}{separator}{_cell(value)}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, (Mapping, list, tuple)):
        return msgspec.json.encode(value).decode()
    return str(value)
