"""Writes down what the migrations make of schema `bus`: python -m tests.integration.bus.schema."""

import asyncio
from pathlib import Path

import asyncpg

from govid.bus.storage.schema_check import describe_schema
from tests.backends import postgres

FILE = Path(__file__).parents[3] / "src/govid/bus/storage/schema.txt"


async def write(url: str) -> None:
    connection = await asyncpg.connect(url)
    FILE.write_text("\n".join(await describe_schema(connection)) + "\n", "utf-8")
    await connection.close()


if __name__ == "__main__":
    with postgres.server() as server:
        asyncio.run(write(postgres.url_of(server, postgres.prepare_template(server))))
