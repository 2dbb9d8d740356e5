"""What `govid serve` asks the database about."""

import asyncio

import asyncpg
import pytest

from govid.bus.storage.connection_failures import describe_connection_error
from govid.gateway.checks.production import backend_problems
from govid.gateway.schema_version import head_revision
from govid.gateway.settings import Settings, load_from_environment
from tests.backends import postgres


def settings(url: str) -> Settings:
    values = {"GOVID_DATABASE_URL": url, "GOVID_ALLOW_UNSAFE_DATABASE": True}
    return load_from_environment(values, env_file=None)


async def test_a_database_that_trusts_everyone_is_a_fault(database_url: str) -> None:
    assert await backend_problems(settings(database_url), ()) == [
        "the database requires no password (trust authentication)"
    ]


async def test_a_database_that_is_not_migrated_is_a_fault(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE public.govid_version SET version_num = '0001'")
    await connection.close()
    assert (
        f"the database is at migration 0001, not at {head_revision()}: `govid migrate`"
        in await backend_problems(settings(database_url), ())
    )


async def test_an_empty_database_is_a_fault(postgres_server: str) -> None:
    url = await postgres.clone(postgres_server, "template0")
    found = await backend_problems(settings(url), ())
    await postgres.drop(postgres_server, url)
    assert f"the database is at migration none, not at {head_revision()}: `govid migrate`" in found


@pytest.mark.parametrize(
    ("url", "place", "reason"),
    [
        ("postgresql://x:y@127.0.0.1:1/x", "127.0.0.1:1", "connection refused"),
        ("postgresql://x:y@db.invalid/x", "db.invalid:5432", "its name is not known"),
        ("postgresql://x:y@/x?host=/nowhere", "/nowhere:5432", "there is no such socket"),
    ],
)
async def test_f10_a_database_that_is_away_is_a_fault_in_words(
    url: str, place: str, reason: str
) -> None:
    (fault,) = await backend_problems(settings(url), ())
    assert fault == f"no connection to PostgreSQL at {place} ({reason})"


async def test_f10_what_is_no_postgresql_is_a_fault_in_words() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        (fault,) = await backend_problems(settings(f"postgresql://x:y@127.0.0.1:{port}/x"), ())
    assert (
        fault
        == f"no connection to PostgreSQL at 127.0.0.1:{port} (the server closed the connection)"
    )


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("28P01", "the database refuses this role or its password"),
        ("3D000", "the database does not exist"),
        ("53300", "the database is short of memory, disk or connections"),
        ("57P03", "the database is shutting down or starting"),
        ("42501", "the database refuses the connection (SQLSTATE 42501)"),
    ],
)
def test_f10_a_refusal_is_reported_in_words(state: str, text: str) -> None:
    assert (
        describe_connection_error(asyncpg.PostgresError.new({"C": state, "M": "for ada"})) == text
    )


async def test_without_a_database_no_one_is_asked() -> None:
    assert await backend_problems(load_from_environment(env_file=None), ()) == []
