"""Claims that an operator ends before their time."""

import pytest

from govid.bus import Actor, OperationContext, uuid7
from govid.identity.accounts.identifier_claims import ClaimRelease
from govid.identity.errors import AccountNotFound
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.accounts import IdentifierClaimRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from tests.integration.identity.conftest import IdentityFixture
from tests.integration.identity.verification.test_requests import (
    build_verification_requests,
    failed,
)

OPS = OperationContext(correlation_id="c-1", actor=Actor(kind="operator", id="ops-7"))
WHY = "passport seen, case 74"


@pytest.fixture
def claims(identity: IdentityFixture) -> ClaimRelease:
    return ClaimRelease(
        identity.uow,
        AccountStatusRepository(),
        IdentifierClaimRepository(),
        identity.claimed_facts,
        VerificationAttemptRepository(),
    )


async def test_its_holder_can_register_what_a_stranger_claimed(
    identity: IdentityFixture, claims: ClaimRelease
) -> None:
    stranger = await failed(identity)
    await claims.release(stranger.id, reason=WHY, context=OPS)
    row = await identity.account(stranger.id)
    assert (row["status"], row["identifier_type"], row["identifier_value"]) == (
        "registered",
        None,
        None,
    )
    holder = await identity.register(email="holder@example.com")
    assert (await identity.account(holder.id))["identifier_value"] is not None


async def test_what_was_said_and_asked_goes_with_the_claim(
    identity: IdentityFixture, claims: ClaimRelease
) -> None:
    view = await failed(identity)
    await build_verification_requests(identity)
    await claims.release(view.id, reason=WHY, context=OPS)
    query = "SELECT outcome FROM identity.verification_attempt ORDER BY reserved_at"
    rows = await identity.database.reads.fetch(query)
    assert [row["outcome"] for row in rows] == ["mismatch", "without_effect"]
    assert await identity.claimed_facts.for_account(view.id) is None


async def test_the_action_is_an_event_with_actor_and_reason(
    identity: IdentityFixture, claims: ClaimRelease
) -> None:
    view = await failed(identity)
    await claims.release(view.id, reason=WHY, context=OPS)
    row = await identity.database.reads.fetchrow("""
        SELECT type, headers->'actor'->>'id' AS actor, payload::json->>'operator' AS operator,
               payload::json->>'stated_reason' AS stated_reason
        FROM bus.event ORDER BY pos DESC LIMIT 1
    """)
    assert tuple(row) == ("identity.account.identifier_released", "ops-7", "ops-7", WHY)


async def test_no_one_holds_nothing(identity: IdentityFixture, claims: ClaimRelease) -> None:
    with pytest.raises(AccountNotFound):
        await claims.preview(uuid7(), OPS)
    with pytest.raises(AccountNotFound):
        await claims.release(uuid7(), reason=WHY, context=OPS)
