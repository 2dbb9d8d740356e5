"""`govid config`: shows the settings in force and prints an example file."""

import click
import rich_click

from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.target import load_settings
from govid.gateway.dev.state import StateFolder
from govid.gateway.settings import render_example


@click.group("config", cls=rich_click.RichGroup, epilog="Example: govid config show")
def command() -> None:
    """Show the settings in force, or an example file."""


@command.command(epilog="Example: govid config show --json")
@click.option("--all", "everything", is_flag=True, help="Include settings that have their default.")
@json_option
def show(everything: bool, as_json: bool) -> None:
    """Show each setting that was set and its source, with secrets masked."""
    settings = load_settings()
    rows = [
        (row.name, row.value, row.source)
        for row in settings.table
        if everything or row.source != "default"
    ]
    Output(as_json=as_json).print_table(
        ("name", "value", "source"),
        rows,
        folded_column="value",
        keep_all=True,
        empty_text="No setting was set. To show all defaults: `govid config show --all`",
    )
    if (
        not as_json
        and (running := StateFolder(settings.data_dir).find_running_server()) is not None
    ):
        print_note(
            f"`govid dev` runs at {running.url}; the values that it chose itself (database, Kafka, "
            "port, secrets) are not listed."
        )


@command.command("example", epilog="Example: govid config example > .env")
def example_() -> None:
    """Print a commented .env file with every setting and its default."""
    click.echo(render_example(), nl=False)
