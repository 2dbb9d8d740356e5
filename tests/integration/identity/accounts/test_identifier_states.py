"""What release, forgiveness, expiry, registration and a notice do to an identifier in each state.

A state is that of an account; *proved* says whether a department had confirmed its identifier.
A pending or failed account has proved nothing, and one without an identifier has none to prove.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from govid.bus import Actor, GovidError, OperationContext
from govid.identity.accounts.administration import AttemptReset
from govid.identity.accounts.identifier_claims import ClaimExpiry, ClaimRelease
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.accounts import IdentifierClaimRepository, PasswordAccountRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from tests.integration.identity.conftest import CONTEXT, IdentityFixture
from tests.integration.identity.verification.test_results import an_answer

OPS = OperationContext(correlation_id="c-1", actor=Actor(kind="operator", id="ops-7"))
WHY = "passport seen, case 74"
FORTY_DAYS = """
    UPDATE identity.account SET created_at = created_at - interval '40 days',
                                closed_at = closed_at - interval '40 days'
"""
Act = Callable[[IdentityFixture, UUID], Awaitable[Any]]


async def pending(identity: IdentityFixture) -> UUID:
    return (await identity.register()).id


async def failed(identity: IdentityFixture) -> UUID:
    return await answered(identity, verified=False)


async def verified(identity: IdentityFixture) -> UUID:
    return await answered(identity, verified=True)


async def answered(identity: IdentityFixture, *, verified: bool) -> UUID:
    account_id = await pending(identity)
    await identity.handle(identity.verification, an_answer(account_id, verified=verified))
    return account_id


async def registered(identity: IdentityFixture) -> UUID:
    account_id = await failed(identity)
    await a_release(identity).release(account_id, reason=WHY, context=OPS)
    return account_id


async def blocked_unproved(identity: IdentityFixture) -> UUID:
    return await blocked(identity, await pending(identity))


async def blocked_proved(identity: IdentityFixture) -> UUID:
    return await blocked(identity, await verified(identity))


async def blocked(identity: IdentityFixture, account_id: UUID) -> UUID:
    await identity.report_death()
    return account_id


async def closed_unproved(identity: IdentityFixture) -> UUID:
    return await closed(identity, await failed(identity))


async def closed_proved(identity: IdentityFixture) -> UUID:
    return await closed(identity, await verified(identity))


async def closed(identity: IdentityFixture, account_id: UUID) -> UUID:
    async with identity.uow.begin(CONTEXT) as tx:
        await VerificationAttemptRepository().detach_account(tx, account_id)
        await PasswordAccountRepository().close(tx, account_id)
    return account_id


def a_release(identity: IdentityFixture) -> ClaimRelease:
    return ClaimRelease(
        identity.uow,
        AccountStatusRepository(),
        IdentifierClaimRepository(),
        identity.claimed_facts,
        VerificationAttemptRepository(),
    )


async def release(identity: IdentityFixture, account_id: UUID) -> None:
    await a_release(identity).release(account_id, reason=WHY, context=OPS)


async def release_verified(identity: IdentityFixture, account_id: UUID) -> None:
    await a_release(identity).release(account_id, reason=WHY, context=OPS, verified=True)


async def forgive(identity: IdentityFixture, account_id: UUID) -> None:
    digests = IdentifierDigests(b"k" * 32)
    forgiveness = AttemptReset(
        identity.uow, AccountStatusRepository(), VerificationAttemptRepository(), digests
    )
    await forgiveness.reset(account_id, reason=WHY, context=OPS)


async def expire(identity: IdentityFixture, account_id: UUID) -> None:
    del account_id
    await identity.database.reads.execute(FORTY_DAYS)
    expiry = ClaimExpiry(
        IdentifierClaimRepository(),
        identity.claimed_facts,
        VerificationAttemptRepository(),
        claim_days=14,
        closed_days=30,
    )
    async with identity.uow.begin(CONTEXT) as tx:
        await expire_all(expiry, tx)


async def expire_all(expiry: ClaimExpiry, tx: Any) -> None:
    await expiry.expire_claims(tx, 10)
    await expiry.release_closed(tx, 10)


async def register_again(identity: IdentityFixture, account_id: UUID) -> None:
    del account_id
    await identity.register(email="owner@example.com")


async def notice(identity: IdentityFixture, account_id: UUID) -> None:
    del account_id
    await identity.report_death()


async def outcome(identity: IdentityFixture, act: Act, account_id: UUID) -> tuple[str, str, bool]:
    """Return the refusal (or "done"), the account's status, and whether it holds an identifier."""
    try:
        await act(identity, account_id)
    except GovidError as refusal:
        came = refusal.code
    else:
        came = "done"
    row = await identity.account(account_id)
    return came, row["status"], row["identifier_value"] is not None


KEEPS = "blocked-account-keeps-identifier"
TABLE = [
    (pending, release, ("done", "registered", False)),
    (pending, release_verified, ("done", "registered", False)),
    (pending, forgive, ("nothing-to-forgive", "pending_verification", True)),
    (pending, expire, ("done", "registered", False)),
    (pending, register_again, ("identifier-taken", "pending_verification", True)),
    (pending, notice, ("done", "blocked", True)),
    (failed, release, ("done", "registered", False)),
    (failed, release_verified, ("done", "registered", False)),
    (failed, forgive, ("done", "verification_failed", True)),
    (failed, expire, ("done", "registered", False)),
    (failed, register_again, ("identifier-taken", "verification_failed", True)),
    (failed, notice, ("done", "blocked", True)),
    (verified, release, ("identifier-is-verified", "verified", True)),
    (verified, release_verified, ("done", "registered", False)),
    (verified, forgive, ("done", "verified", True)),
    (verified, expire, ("done", "verified", True)),
    (verified, register_again, ("identifier-taken", "verified", True)),
    (verified, notice, ("done", "blocked", True)),
    (registered, release, ("nothing-to-release", "registered", False)),
    (registered, release_verified, ("nothing-to-release", "registered", False)),
    (registered, forgive, ("done", "registered", False)),
    (registered, expire, ("done", "registered", False)),
    (registered, register_again, ("done", "registered", False)),
    (registered, notice, ("done", "registered", False)),
    (blocked_unproved, release, (KEEPS, "blocked", True)),
    (blocked_unproved, release_verified, (KEEPS, "blocked", True)),
    (blocked_unproved, forgive, ("nothing-to-forgive", "blocked", True)),
    (blocked_unproved, expire, ("done", "blocked", True)),
    (blocked_unproved, register_again, ("identifier-taken", "blocked", True)),
    (blocked_unproved, notice, ("done", "blocked", True)),
    (blocked_proved, release, (KEEPS, "blocked", True)),
    (blocked_proved, release_verified, (KEEPS, "blocked", True)),
    (blocked_proved, forgive, ("done", "blocked", True)),
    (blocked_proved, expire, ("done", "blocked", True)),
    (blocked_proved, register_again, ("identifier-taken", "blocked", True)),
    (blocked_proved, notice, ("done", "blocked", True)),
    (closed_unproved, release, ("nothing-to-release", "closed", False)),
    (closed_unproved, release_verified, ("nothing-to-release", "closed", False)),
    (closed_unproved, forgive, ("nothing-to-forgive", "closed", False)),
    (closed_unproved, expire, ("done", "closed", False)),
    (closed_unproved, register_again, ("done", "closed", False)),
    (closed_unproved, notice, ("done", "closed", False)),
    (closed_proved, release, ("done", "closed", False)),
    (closed_proved, release_verified, ("done", "closed", False)),
    (closed_proved, forgive, ("done", "closed", True)),
    (closed_proved, expire, ("done", "closed", False)),
    (closed_proved, register_again, ("identifier-taken", "closed", True)),
    (closed_proved, notice, ("done", "closed", True)),
]


@pytest.mark.parametrize(
    ("state", "act", "expected"),
    [pytest.param(*row, id=f"{row[0].__name__}-{row[1].__name__}") for row in TABLE],
)
async def test_b8_an_identifier_in_each_state(
    identity: IdentityFixture,
    state: Callable[[IdentityFixture], Awaitable[UUID]],
    act: Act,
    expected: tuple[str, str, bool],
) -> None:
    account_id = await state(identity)
    assert await outcome(identity, act, account_id) == expected


async def test_b8_a_released_verified_account_is_known_no_more(identity: IdentityFixture) -> None:
    account_id = await verified(identity)
    await identity.set_columns(account_id, evidence_strength=2, evidence_validity=2)
    await release_verified(identity, account_id)
    row = await identity.account(account_id)
    assert (row["assurance"], row["evidence_strength"], row["evidence_validity"]) == ("P0", 0, 0)


async def test_b8_after_a_stranger_left_the_owner_registers_and_is_forgiven(
    identity: IdentityFixture,
) -> None:
    await closed_unproved(identity)
    owner = await identity.register(email="owner@example.com")
    await identity.handle(identity.verification, an_answer(owner.id, verified=False))
    await forgive(identity, owner.id)
    query = "SELECT count(*) FROM identity.verification_attempt WHERE counts"
    assert await identity.database.reads.fetchval(query) == 0
