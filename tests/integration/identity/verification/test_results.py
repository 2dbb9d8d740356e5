"""The effect of a verification result in each state of the account."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from govid.bus.events import (
    HmrcVerificationCompleted,
    IdentifierType,
    NhsVerificationCompleted,
    VerificationCompleted,
)
from tests.integration.identity.conftest import IdentityFixture

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_answer(account_id: UUID, *, verified: bool = True, **more: Any) -> VerificationCompleted:
    return HmrcVerificationCompleted(
        user_id=account_id,
        identifier_type=IdentifierType.NIN,
        is_verified=verified,
        timestamp=NOON,
        **more,
    )


async def test_a_yes_verifies_a_pending_account(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.handle(identity.verification, an_answer(view.id))
    row = await identity.account(view.id)
    assert row["status"] == "verified"
    assert row["updated_at"] > view.updated_at
    assert await identity.events() == [
        "identity.account.registered",
        "identity.verification.requested",
        "identity.account.verified",
    ]


async def test_a_no_fails_a_pending_account(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.handle(
        identity.verification, an_answer(view.id, verified=False, error="no_match")
    )
    assert (await identity.account(view.id))["status"] == "verification_failed"
    query = (
        "SELECT payload->>'reason' FROM bus.event"
        " WHERE type = 'identity.account.verification_failed'"
    )
    assert await identity.database.reads.fetchval(query) == "no_match"


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize(
    ("status", "before"),
    [("verified", None), ("verification_failed", None), ("blocked", "pending_verification")],
)
async def test_an_account_in_any_other_state_stays_as_it_is(
    identity: IdentityFixture, status: str, before: str | None, verified: bool
) -> None:
    view = await identity.register()
    await identity.set_columns(view.id, status=status, status_before=before)
    row = await identity.account(view.id)
    await identity.handle(identity.verification, an_answer(view.id, verified=verified))
    assert await identity.account(view.id) == row
    assert await identity.count("bus.event") == 2


async def test_an_answer_about_another_kind_of_identifier_changes_nothing(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    answer = NhsVerificationCompleted(
        user_id=view.id, identifier_type=IdentifierType.NHS, is_verified=True, timestamp=NOON
    )
    await identity.handle(identity.verification, answer)
    assert (await identity.account(view.id))["status"] == "pending_verification"


async def test_an_answer_about_no_account_changes_nothing(identity: IdentityFixture) -> None:
    await identity.handle(identity.verification, an_answer(UUID(int=7)))
    assert await identity.count("bus.event") == 0
