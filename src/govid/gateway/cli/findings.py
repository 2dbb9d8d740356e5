"""What the commands that verify share: how many findings they keep, and how they print them."""

from collections.abc import Iterable, MutableSequence, Sequence
from typing import Protocol, TypeVar

import click

from govid.gateway.cli.output import Output

MAX_FINDINGS = 1_000
"""At most this many findings are listed; all of them are counted."""


class PrintableFinding(Protocol):
    """A finding of a verification."""

    def format_line(self) -> str:
        """Format the finding in one line."""


FindingT = TypeVar("FindingT", bound=PrintableFinding)


def keep_findings(kept: MutableSequence[FindingT], found: Sequence[FindingT]) -> int:
    """Add to *kept* what will be listed of *found*; return how many were *found*."""
    kept.extend(found[: MAX_FINDINGS - len(kept)])
    return len(found)


def print_findings(output: Output, kept: Iterable[PrintableFinding], unlisted: int) -> None:
    """Print the *kept* findings, and how many more there are."""
    for finding in kept:
        output.print_text(finding.format_line())
    if unlisted:
        click.echo(f"... and {unlisted} more.")
