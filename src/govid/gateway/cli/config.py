"""`govid config`: the settings in force, and an example file."""

import click
import rich_click

from govid.gateway.cli.output import Output, json_option
from govid.gateway.cli.settings import settings_or_exit
from govid.gateway.settings import example


@click.group("config", cls=rich_click.RichGroup, epilog="Example: govid config show")
def command() -> None:
    """Show the settings in force, or an example file."""


@command.command(epilog="Example: govid config show --json")
@click.option("--all", "everything", is_flag=True, help="Also those that nobody set.")
@json_option
def show(everything: bool, as_json: bool) -> None:
    """Show each setting that somebody set, where it was set, secrets masked."""
    rows = [
        (row.name, row.value, row.source)
        for row in settings_or_exit().table
        if everything or row.source != "default"
    ]
    Output(as_json=as_json).table(("name", "value", "source"), rows)


@command.command("example", epilog="Example: govid config example > .env")
def example_() -> None:
    """Print a commented .env file with every setting and its default."""
    click.echo(example(), nl=False)
