"""Which partitions a statement reads, as EXPLAIN ANALYZE sees them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PARTITION = re.compile(r"(event|receipt)_(\d{8}|default)")


async def partitions_read(connection: Any, statement: str, arguments: Sequence[Any]) -> set[str]:
    """Run *statement* by a generic plan, roll it back, and return the partitions that it read.

    A partition counts if a scan of it was begun; those that were pruned do not.
    """
    return {
        node["Relation Name"]
        for node in await scans(connection, statement, arguments)
        if node["Actual Loops"] > 0 and _PARTITION.fullmatch(node["Relation Name"])
    }


async def rows_read(connection: Any, statement: str, arguments: Sequence[Any], table: str) -> int:
    """Run *statement* in the same way, and return how many rows of *table* it read."""
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in await scans(connection, statement, arguments)
        if node["Relation Name"] == table
    )


async def scans(
    connection: Any, statement: str, arguments: Sequence[Any]
) -> list[Mapping[str, Any]]:
    """Run *statement* by a generic plan, roll it back, and return its scans of tables."""
    types = [one.name for one in (await connection.prepare(statement)).get_parameters()]
    literals = [
        await connection.fetchval(f"SELECT quote_nullable($1::{kind}::text)", value)
        for kind, value in zip(types, arguments, strict=True)
    ]
    given = f"({', '.join(literals)})" if literals else ""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"PREPARE measured AS {statement}")
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE measured{given}")
        await connection.execute("DEALLOCATE measured")
    finally:
        await transaction.rollback()
    (plan,) = json.loads(rows[0][0])
    return [node for node in _nodes(plan["Plan"]) if "Relation Name" in node]


async def function_body(connection: Any, name: str) -> str:
    """Return the statement of function *name* of schema `bus`, which EXPLAIN does not look into."""
    body: str = await connection.fetchval(
        "SELECT prosrc FROM pg_proc WHERE pronamespace = 'bus'::regnamespace AND proname = $1", name
    )
    return body


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    # What is inserted into is no scan.
    if plan["Node Type"] != "ModifyTable":
        yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
