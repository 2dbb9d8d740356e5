"""Migration 0019 on data in which several accounts hold one number."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from govid.gateway.migrations import upgrade
from tests.backends import postgres

BEFORE, AFTER = "0018", "0019"
INSERT = """
    INSERT INTO identity.account (id, email, email_canonical, identifier_type, identifier_value,
                                  password_hash, status, status_before, closed_at, created_at,
                                  updated_at)
    SELECT $1::uuid, e, e, $2, $3, CASE WHEN e IS NOT NULL THEN '' END, $4, $5,
           CASE WHEN $4 = 'closed' THEN now() END, now() + $6 * interval '1 day', now()
    FROM (SELECT CASE WHEN $4 <> 'closed' THEN $1::uuid || '@example.com' END AS e) AS address
"""
ACCOUNTS = """
    SELECT id, is_identifier_shared, contra_indicators, assurance FROM identity.account ORDER BY id
"""
REVIEWS = "SELECT reason, account_id, state FROM identity.review_item ORDER BY account_id"
Row = tuple[str, str, str, str | None, int]


@pytest.fixture
async def earlier(postgres_server: str) -> AsyncIterator[str]:
    """Return the URL of a database as the earlier release left it."""
    url = await postgres.clone(postgres_server, "template0")
    await asyncio.to_thread(upgrade, url, BEFORE)
    yield url
    await postgres.drop(postgres_server, url)


async def migrated(url: str, rows: list[Row]) -> Any:
    """Insert *rows*, migrate, and return a connection."""
    connection = await asyncpg.connect(url)
    for number, row in enumerate(rows, 1):
        await connection.execute(INSERT, UUID(int=number), *row)
    await asyncio.to_thread(upgrade, url, AFTER)
    return connection


@pytest.mark.parametrize(
    ("rows", "losers"),
    [
        pytest.param(
            [
                ("NIN", "AB465851A", "pending_verification", None, 1),
                ("NIN", "AB465851B", "verified", None, 2),
                ("NIN", "AB465851D", "verification_failed", None, 3),
            ],
            [1, 3],
            id="the verified account owns the key",
        ),
        pytest.param(
            [
                ("NIN", "AB465851A", "verification_failed", None, 2),
                ("NIN", "AB465851B", "pending_verification", None, 1),
            ],
            [1],
            id="else the oldest",
        ),
        pytest.param(
            [
                ("NIN", "AB465851A", "pending_verification", None, 1),
                ("NIN", "AB465851B", "blocked", "verified", 2),
            ],
            [1],
            id="a blocked account that was verified counts as verified",
        ),
        pytest.param(
            [
                ("NIN", "AB465851A", "verified", None, 2),
                ("NIN", "AB465851B", "verified", None, 1),
            ],
            [1],
            id="of two verified ones the older",
        ),
        pytest.param(
            [
                ("NIN", "AB465851A", "verified", None, 1),
                ("NIN", "AB465852A", "verified", None, 2),
                ("NHS", "NHS123456789", "verified", None, 3),
                ("NHS", "NHS123456788", "verified", None, 4),
            ],
            [],
            id="numbers that differ are not shared",
        ),
    ],
)
async def test_b1_the_key_belongs_to_one_account(
    earlier: str, rows: list[Row], losers: list[int]
) -> None:
    connection = await migrated(earlier, rows)
    found = {row["id"].int: tuple(row)[1:] for row in await connection.fetch(ACCOUNTS)}
    reviews = [tuple(row) for row in await connection.fetch(REVIEWS)]
    await connection.close()
    assert [key for key, row in found.items() if row == (True, ["identifier_shared"], "P0")] == (
        losers
    )
    assert [key for key, row in found.items() if row[0]] == losers
    assert reviews == [("identifier_shared", UUID(int=one), "open") for one in losers]


async def test_b1_a_closed_account_owns_no_key_of_an_open_one_and_is_not_reviewed(
    earlier: str,
) -> None:
    rows: list[Row] = [
        ("NIN", "AB465851A", "closed", None, 1),
        ("NIN", "AB465851B", "pending_verification", None, 2),
    ]
    connection = await migrated(earlier, rows)
    found = [tuple(row)[1:3] for row in await connection.fetch(ACCOUNTS)]
    reviews = await connection.fetch(REVIEWS)
    await connection.close()
    assert (found, reviews) == ([(True, []), (False, [])], [])


async def test_b1_the_index_refuses_the_next_one(earlier: str) -> None:
    connection = await migrated(earlier, [("NIN", "AB465851A", "verified", None, 1)])
    with pytest.raises(asyncpg.UniqueViolationError) as refusal:
        await connection.execute(INSERT, UUID(int=9), "NIN", "AB465851C", "verified", None, 2)
    await connection.close()
    assert refusal.value.constraint_name == "account_identity_key"


async def test_b1_replicas_that_migrate_at_once_do_not_wait_for_each_other_for_ever(
    earlier: str,
) -> None:
    # Processes, because Alembic has one context for each.
    code = "import sys; from govid.gateway.migrations import upgrade; upgrade(*sys.argv[1:])"
    replicas = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, earlier, AFTER)
        for _ in range(3)
    ]
    assert [await replica.wait() for replica in replicas] == [0, 0, 0]
    connection = await asyncpg.connect(earlier)
    valid = await connection.fetchval(
        "SELECT indisvalid FROM pg_index"
        " WHERE indexrelid = 'identity.account_identity_key'::regclass"
    )
    await connection.close()
    assert valid is True
