"""The command group `govid audit`."""

import click
import rich_click

from govid.gateway.cli.audit.export import export
from govid.gateway.cli.audit.search import search
from govid.gateway.cli.audit.verify import verify


@click.group("audit", cls=rich_click.RichGroup, epilog="Example: govid audit search --since 1h")
def command() -> None:
    """Search, export and verify the audit log: who did what, and who saw what."""


for each in (search, export, verify):
    command.add_command(each)
