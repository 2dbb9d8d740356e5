"""Attempts that an operator gives back to an account and to its identifier."""

import pytest

from govid.bus import Actor, OperationContext, uuid7
from govid.identity.accounts.administration import AttemptReset, UsedAttempts
from govid.identity.errors import (
    AccountNotFound,
    AttemptsExhausted,
    NoAttemptsUsed,
)
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from govid.identity.schemas import UserView
from tests.integration.identity.conftest import IdentityFixture
from tests.integration.identity.verification.test_requests import (
    build_verification_requests,
    failed,
)
from tests.integration.identity.verification.test_results import an_answer

OPS = OperationContext(correlation_id="c-1", actor=Actor(kind="operator", id="ops-7"))
WHY = "passport seen, case 73"


@pytest.fixture
def forgiveness(identity: IdentityFixture) -> AttemptReset:
    return AttemptReset(
        identity.uow,
        AccountStatusRepository(),
        VerificationAttemptRepository(),
        IdentifierDigests(b"k" * 32),
    )


async def exhausted(identity: IdentityFixture) -> UserView:
    """Return an account whose two attempts are spent."""
    view = await failed(identity)
    await build_verification_requests(identity)
    await identity.handle(identity.verification, an_answer(view.id, verified=False))
    return view


async def test_what_is_spent_is_shown(identity: IdentityFixture, forgiveness: AttemptReset) -> None:
    view = await exhausted(identity)
    assert await forgiveness.preview(view.id, OPS) == UsedAttempts(
        status="verification_failed", by_account=2, for_identifier=2
    )


async def test_who_was_forgiven_can_try_twice_more_and_no_more(
    identity: IdentityFixture, forgiveness: AttemptReset
) -> None:
    view = await exhausted(identity)
    await forgiveness.reset(view.id, reason=WHY, context=OPS)
    await build_verification_requests(identity)
    await identity.handle(identity.verification, an_answer(view.id, verified=False))
    await build_verification_requests(identity)
    await identity.handle(identity.verification, an_answer(view.id, verified=False))
    with pytest.raises(AttemptsExhausted):
        await build_verification_requests(identity)


async def test_what_a_stranger_has_spent_on_the_number_is_given_back_too(
    identity: IdentityFixture, forgiveness: AttemptReset
) -> None:
    stranger = await exhausted(identity)
    await identity.set_columns(
        stranger.id, status="registered", identifier_type=None, identifier_value=None
    )
    holder = await identity.register(email="holder@example.com")
    assert await forgiveness.preview(holder.id, OPS) == UsedAttempts(
        status="pending_verification", by_account=0, for_identifier=2
    )
    await forgiveness.reset(holder.id, reason=WHY, context=OPS)
    spent = await forgiveness.preview(stranger.id, OPS)
    assert (spent.by_account, spent.for_identifier) == (0, 0)


async def test_each_action_is_an_event_with_actor_and_reason(
    identity: IdentityFixture, forgiveness: AttemptReset
) -> None:
    view = await exhausted(identity)
    await forgiveness.reset(view.id, reason=WHY, context=OPS)
    row = await identity.database.reads.fetchrow("""
        SELECT type, headers->'actor'->>'id' AS actor, payload::json->>'attempts' AS attempts,
               payload::json->>'operator' AS operator,
               payload::json->>'stated_reason' AS stated_reason
        FROM bus.event ORDER BY pos DESC LIMIT 1
    """)
    assert tuple(row) == (
        "identity.verification.attempts_forgiven",
        "ops-7",
        "2",
        "ops-7",
        WHY,
    )


async def test_what_was_found_out_stays(
    identity: IdentityFixture, forgiveness: AttemptReset
) -> None:
    view = await exhausted(identity)
    await forgiveness.reset(view.id, reason=WHY, context=OPS)
    assert (await identity.account(view.id))["status"] == "verification_failed"
    assert await identity.count("identity.verification_attempt") == 2


async def test_a_question_under_way_stays_counted(
    identity: IdentityFixture, forgiveness: AttemptReset
) -> None:
    view = await failed(identity)
    await build_verification_requests(identity)
    await forgiveness.reset(view.id, reason=WHY, context=OPS)
    query = "SELECT count(*) FROM identity.verification_attempt WHERE counts AND outcome IS NULL"
    assert await identity.database.reads.fetchval(query) == 1


async def test_where_nothing_is_spent_nothing_is_done(
    identity: IdentityFixture, forgiveness: AttemptReset
) -> None:
    view = await identity.register()
    before = await identity.events()
    with pytest.raises(NoAttemptsUsed):
        await forgiveness.reset(view.id, reason=WHY, context=OPS)
    assert await identity.events() == before


async def test_an_account_that_does_not_exist_is_forgiven_nothing(
    identity: IdentityFixture, forgiveness: AttemptReset
) -> None:
    await exhausted(identity)
    with pytest.raises(AccountNotFound):
        await forgiveness.preview(uuid7(), OPS)
