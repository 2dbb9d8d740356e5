"""Addresses of accounts that an earlier release stored with folded letters."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from govid.identity.errors import EmailTaken, InvalidCredentials
from govid.identity.repository.reviews import rewrite_mailbox_keys
from tests.integration.identity.conftest import CONTEXT, IdentityFixture

STRASSE = "straße@example.com"
FOLDED = "strasse@example.com"
KEYS = "SELECT email, email_canonical FROM identity.account ORDER BY email"
REVIEWS = "SELECT reason, account_id FROM identity.review_item"


async def stored_by_an_earlier_release(identity: IdentityFixture, email: str, folded: str) -> UUID:
    view = await identity.register(email=email)
    await identity.set_columns(view.id, email_canonical=folded)
    return view.id


async def rewrite(database_url: str) -> tuple[int, int]:
    connection: Any = await asyncpg.connect(database_url)
    done = await rewrite_mailbox_keys(connection)
    await connection.close()
    return done.rewritten, done.collisions


async def keys(identity: IdentityFixture) -> list[tuple[str, str]]:
    return [tuple(row) for row in await identity.database.reads.fetch(KEYS)]


@pytest.mark.parametrize(
    ("email", "folded"),
    [
        (STRASSE, FOLDED),
        ("o\ufb03ce@example.com", "office@example.com"),
        ("Mi\u017fs@example.com", "miss@example.com"),
    ],
)
async def test_b9_an_address_stored_by_an_earlier_release_signs_in_until_it_is_rewritten(
    identity: IdentityFixture, database_url: str, email: str, folded: str
) -> None:
    await stored_by_an_earlier_release(identity, email, folded)
    before = await identity.login(email=email)
    assert await rewrite(database_url) == (1, 0)
    after = await identity.login(email=email)
    assert (bool(before), bool(after)) == (True, True)
    assert await keys(identity) == [(email, email.lower())]


async def test_b9_two_mailboxes_that_folding_joined_are_two_accounts(
    identity: IdentityFixture,
) -> None:
    one = await identity.register(email=STRASSE)
    other = await identity.register(email=FOLDED, identifier_value="AB123457C")
    assert await keys(identity) == [(FOLDED, FOLDED), (STRASSE, STRASSE)]
    assert one.id != other.id


async def test_b9_the_folded_address_opens_no_other_account(identity: IdentityFixture) -> None:
    await stored_by_an_earlier_release(identity, STRASSE, FOLDED)
    with pytest.raises(InvalidCredentials):
        await identity.login(email=FOLDED)


async def test_b9_an_address_is_taken_also_before_it_is_rewritten(
    identity: IdentityFixture,
) -> None:
    await stored_by_an_earlier_release(identity, STRASSE, FOLDED)
    with pytest.raises(EmailTaken):
        await identity.register(email=STRASSE, identifier_value="AB123457C")


async def test_b9_an_operator_finds_the_account_by_its_own_address_only(
    identity: IdentityFixture,
) -> None:
    account_id = await stored_by_an_earlier_release(identity, STRASSE, FOLDED)
    assert await identity.administration.find_by_email(STRASSE, CONTEXT) == [account_id]
    assert await identity.administration.find_by_email(FOLDED, CONTEXT) == []


async def test_b9_a_collision_keeps_its_key_and_is_reviewed_once(
    identity: IdentityFixture, database_url: str
) -> None:
    owner = await identity.register(email="STRAßE@example.com")
    older = await identity.register(email="other@example.com", identifier_value="AB123457C")
    await identity.set_columns(older.id, email=STRASSE, email_canonical=FOLDED)
    assert await rewrite(database_url) == (0, 1)
    assert await rewrite(database_url) == (0, 1)
    rows = await identity.database.reads.fetch(REVIEWS)
    assert [tuple(row) for row in rows] == [("email_shared", older.id)]
    assert (await identity.account(owner.id))["email_canonical"] == STRASSE
    assert (await identity.account(older.id))["email_canonical"] == FOLDED


async def test_b9_what_needs_no_rewriting_is_left(
    identity: IdentityFixture, database_url: str
) -> None:
    await identity.register(email="josé@example.com")
    row = await identity.account(
        (await identity.register(email="Ada@example.com", identifier_value="AB123457C")).id
    )
    assert await rewrite(database_url) == (0, 0)
    assert await identity.account(row["id"]) == row
