"""`govid topics`: the state of the topics in Kafka, and the operator actions on them."""

import asyncio

import click
import rich_click

from govid.gateway.cli.output import Output, json_option
from govid.gateway.cli.settings import connected, target

COLUMNS = ("topic", "partitions")


@click.group("topics", cls=rich_click.RichGroup, epilog="Example: govid topics list")
def command() -> None:
    """Look at the topics of Kafka, and settle what is wrong there."""


@command.command("list", epilog="Example: govid topics list --json")
@json_option
def list_topics(as_json: bool) -> None:
    """List the topics, with the number of partitions that is remembered of each."""

    async def fetch() -> list[tuple[object, ...]]:
        async with connected(target()) as connection:
            rows = await connection.fetch("SELECT name, partitions FROM bus.topic ORDER BY name")
        return [tuple(row) for row in rows]

    Output(as_json=as_json).table(COLUMNS, asyncio.run(fetch()))
