"""The models say of every column what the migrations made of it."""

from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from govid.bus import Database
from govid.hmrc.models import Base as Hmrc
from govid.nhs.models import Base as Nhs


def differences(metadata: MetaData) -> Callable[[Connection], list[str]]:
    """Return what of *metadata* is otherwise in the database, for its own tables."""

    def compare(connection: Connection) -> list[str]:
        options = {
            "include_schemas": True,
            "compare_type": True,
            "include_name": lambda name, kind, parents: (
                kind == "column"
                or (kind == "schema" and name == metadata.schema)
                or (kind == "table" and parents["schema_name"] == metadata.schema)
            ),
        }
        context = MigrationContext.configure(connection, opts=options)
        return [repr(found) for found in compare_metadata(context, metadata)]

    return compare


@pytest.mark.parametrize("metadata", [Nhs.metadata, Hmrc.metadata], ids=["nhs", "hmrc"])
async def test_models_and_migrations_agree(database: Database, metadata: MetaData) -> None:
    async with database.requests.connect() as connection:
        assert await connection.run_sync(differences(metadata)) == []
