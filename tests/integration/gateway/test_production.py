"""What `govid serve` asks the database about."""

import asyncpg

from govid.gateway.migrations import head
from govid.gateway.production import backend_faults
from govid.gateway.settings import Settings, load
from tests.backends import postgres


def settings(url: str) -> Settings:
    return load({"GOVID_DATABASE_URL": url}, env_file=None)


async def test_a_database_that_trusts_everybody_is_a_fault(database_url: str) -> None:
    assert await backend_faults(settings(database_url)) == [
        "the database lets anybody in (trust authentication)"
    ]


async def test_a_database_that_is_not_migrated_is_a_fault(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE public.govid_version SET version_num = '0001'")
    await connection.close()
    assert (
        f"the database is at migration 0001, not at {head()}: `govid migrate`"
        in await backend_faults(settings(database_url))
    )


async def test_an_empty_database_is_a_fault(postgres_server: str) -> None:
    url = await postgres.clone(postgres_server, "template0")
    found = await backend_faults(settings(url))
    await postgres.drop(postgres_server, url)
    assert f"the database is at migration none, not at {head()}: `govid migrate`" in found


async def test_a_database_that_is_away_is_a_fault() -> None:
    assert await backend_faults(settings("postgresql://nobody:x@127.0.0.1:1/x")) == [
        "no connection to PostgreSQL at 127.0.0.1:1 (ConnectionRefusedError)"
    ]


async def test_without_a_database_nobody_is_asked() -> None:
    assert await backend_faults(load(env_file=None)) == []
