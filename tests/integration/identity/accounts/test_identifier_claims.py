"""Identifiers that become free again: unconfirmed claims, and those of closed accounts."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from govid.bus.events import IdentifierType
from govid.identity.accounts.identifier_claims import ClaimExpiry
from govid.identity.errors import IdentifierTaken
from govid.identity.repository.accounts import IdentifierClaimRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from tests.integration.identity.conftest import CONTEXT, IdentityFixture


def expiry(identity: IdentityFixture) -> ClaimExpiry:
    return ClaimExpiry(
        IdentifierClaimRepository(),
        identity.claimed_facts,
        VerificationAttemptRepository(),
        claim_days=14,
        closed_days=30,
    )


async def aged(identity: IdentityFixture, account_id: UUID, column: str, days: float) -> None:
    query = (
        f"UPDATE identity.account SET {column} = clock_timestamp() - make_interval(secs => $2)"  # noqa: S608 - a test's own words
        " WHERE id = $1"
    )
    await identity.database.reads.execute(query, account_id, days * 86_400)


async def expire(identity: IdentityFixture, most: int = 500) -> int:
    async with identity.uow.begin(CONTEXT) as tx:
        return await expiry(identity).expire_claims(tx, most)


async def release(identity: IdentityFixture) -> int:
    async with identity.uow.begin(CONTEXT) as tx:
        return await expiry(identity).release_closed(tx, 500)


async def closed(identity: IdentityFixture) -> UUID:
    view = await identity.register()
    await identity.set_columns(
        view.id, email=None, email_canonical=None, phone_number=None, password_hash=None,
        status="closed", closed_at=view.created_at,
    )  # fmt: skip
    return view.id


@pytest.mark.parametrize("status", ["pending_verification", "verification_failed"])
async def test_a_claim_that_no_one_confirmed_in_time_is_given_back(
    identity: IdentityFixture, status: str
) -> None:
    view = await identity.register()
    await identity.set_columns(view.id, status=status)
    await aged(identity, view.id, "created_at", 14.01)
    assert await expire(identity) == 1
    row = await identity.account(view.id)
    assert (row["status"], row["identifier_type"], row["identifier_value"]) == (
        "registered",
        None,
        None,
    )
    assert (await identity.events())[-1] == "identity.account.claim_expired"
    other = await identity.register(email="bea@example.com")
    assert other.identifier_value == "AB123456C"


async def test_the_account_goes_on_without_it(identity: IdentityFixture) -> None:
    view = await identity.register()
    token = await identity.login()
    await aged(identity, view.id, "created_at", 15)
    await expire(identity)
    principal = await identity.authenticate(token)
    assert (principal.status, principal.identifier_value) == ("registered", None)
    assert await identity.login()


@pytest.mark.parametrize(
    ("columns", "days"),
    [
        ({}, 13.99),
        ({"status": "verified"}, 1000),
        ({"status": "blocked", "status_before": "pending_verification"}, 1000),
    ],
)
async def test_who_is_verified_blocked_or_in_time_keeps_it(
    identity: IdentityFixture, columns: dict[str, Any], days: float
) -> None:
    view = await identity.register()
    if columns:
        await identity.set_columns(view.id, **columns)
    await aged(identity, view.id, "created_at", days)
    assert await expire(identity) == 0
    assert (await identity.account(view.id))["identifier_value"] == "AB123456C"


async def test_a_batch_is_no_larger_than_asked_for(identity: IdentityFixture) -> None:
    for number in range(3):
        view = await identity.register(
            email=f"a{number}@example.com", identifier_value=f"AB00000{number}C"
        )
        await aged(identity, view.id, "created_at", 15)
    assert [await expire(identity, 2), await expire(identity, 2)] == [2, 1]


async def test_who_is_being_verified_at_this_moment_is_left_alone(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    await aged(identity, view.id, "created_at", 15)
    async with identity.uow.begin(CONTEXT) as tx:
        lock = "SELECT 1 FROM identity.account WHERE id = $1 FOR NO KEY UPDATE"
        await tx.driver.execute(lock, view.id)
        async with asyncio.timeout(5):
            assert await expire(identity) == 0
    assert await expire(identity) == 1


async def test_a_closed_accounts_identifier_is_held_for_a_time(identity: IdentityFixture) -> None:
    account_id = await closed(identity)
    await aged(identity, account_id, "closed_at", 29.99)
    assert await release(identity) == 0
    with pytest.raises(IdentifierTaken):
        await identity.register(email="bea@example.com")


async def test_and_then_it_is_free(identity: IdentityFixture) -> None:
    account_id = await closed(identity)
    await aged(identity, account_id, "closed_at", 30.01)
    assert await release(identity) == 1
    assert await release(identity) == 0
    row = await identity.account(account_id)
    assert (row["status"], row["identifier_value"]) == ("closed", None)
    assert (await identity.events())[-1] == "identity.account.identifier_released"
    view = await identity.register(email="bea@example.com")
    assert view.identifier_type == IdentifierType.NIN
