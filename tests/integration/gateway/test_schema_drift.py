"""What `govid check` says of a schema that was changed by hand."""

import asyncpg

from govid.gateway.checks.production import backend_problems
from govid.gateway.settings import load_from_environment


async def test_a_schema_that_drifted_is_a_fault_with_a_name(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE bus.topic DROP CONSTRAINT topic_partitions_check")
    await connection.close()
    assert (
        "schema bus differs from the migrations;"
        " missing: constraint topic.topic_partitions_check CHECK ((partitions > 0))"
    ) in await backend_problems(
        load_from_environment({"GOVID_DATABASE_URL": database_url}, env_file=None), ()
    )
