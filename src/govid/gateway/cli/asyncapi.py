"""`govid asyncapi`: the description of every topic."""

from pathlib import Path

import click
import rich_click

from govid.bus.asyncapi import render
from govid.gateway.cli.errors import FoundWrong, WrongUsage
from govid.gateway.cli.output import note


@click.command(
    "asyncapi",
    cls=rich_click.RichCommand,
    epilog="Example: govid asyncapi --out docs/asyncapi.json --check",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@click.option("--check", is_flag=True, help="Write nothing; tell (5) if the file is stale.")
def command(out: Path | None, check: bool) -> None:
    """Describe every topic, as AsyncAPI in JSON: records, headers, keys."""
    text = render().decode()
    if check:
        if out is None:
            raise WrongUsage("--check needs a file to check.", "Name it: --out docs/asyncapi.json")
        if not out.exists() or out.read_text("utf-8") != text:
            raise FoundWrong(f"{out} is not what the code says.", f"Run govid asyncapi --out {out}")
        note(f"{out} is up to date.")
    elif out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
        note(f"{out} is written.")
