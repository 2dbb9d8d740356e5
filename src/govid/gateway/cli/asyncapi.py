"""`govid asyncapi`: prints the AsyncAPI document of all topics, or writes or checks its file."""

from pathlib import Path

import click
import rich_click

from govid.bus.asyncapi import render_document
from govid.gateway.cli.errors import CheckFailed, InvalidUsage
from govid.gateway.cli.output import print_note


@click.command(
    "asyncapi",
    cls=rich_click.RichCommand,
    epilog="Example: govid asyncapi --out docs/asyncapi.json --check",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 5 if the file is out of date."
)
def command(out: Path | None, check: bool) -> None:
    """Print the AsyncAPI document of all topics as JSON: records, headers, keys."""
    text = render_document().decode()
    if check:
        if out is None:
            raise InvalidUsage(
                "--check needs a file to check.", "Add its name: --out docs/asyncapi.json"
            )
        if not out.exists() or out.read_text("utf-8") != text:
            raise CheckFailed(f"{out} differs from the code.", f"Run govid asyncapi --out {out}")
        print_note(f"{out} is up to date.")
    elif out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
        print_note(f"{out} is written.")
