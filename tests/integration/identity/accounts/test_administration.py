"""Operator commands on accounts."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from govid.identity.errors import (
    AccountIsClosed,
    AccountIsNotBlocked,
    AccountNotFound,
    DeathNoticeInForce,
)
from govid.identity.life_event_kinds import LifeEventKind
from tests.integration.identity.conftest import IdentityFixture
from tests.integration.identity.life_events.test_death_notices import CLOSE
from tests.integration.identity.life_events.test_event_time import MINUTE, NOON, OPS, REVERSAL


@pytest.mark.parametrize(
    "status", ["pending_verification", "verified", "verification_failed", "registered"]
)
async def test_r14_each_status_comes_back(identity: IdentityFixture, status: str) -> None:
    view = await identity.register()
    nothing = {"identifier_type": None, "identifier_value": None}
    columns = {"registered": nothing}.get(status, {})
    await identity.set_columns(view.id, status=status, **columns)
    await identity.administration.change_status(
        LifeEventKind.BLOCK, view.id, reason="a test", context=OPS
    )
    assert (await identity.account(view.id))["status"] == "blocked"
    await identity.administration.change_status(
        LifeEventKind.RESTORE, view.id, reason="a test", context=OPS
    )
    row = await identity.account(view.id)
    assert (row["status"], row["status_before"]) == (status, None)


async def test_two_operators_at_once_block_once(identity: IdentityFixture) -> None:
    view = await identity.register()
    results = await asyncio.gather(
        *(
            identity.administration.change_status(
                LifeEventKind.BLOCK, view.id, reason="a test", context=OPS
            )
            for _ in range(5)
        ),
        return_exceptions=True,
    )
    assert Counter(type(result).__name__ for result in results) == {
        "NoneType": 1,
        "AccountIsBlockedAlready": 4,
    }
    assert await identity.history() == [("block", "applied", view.id)]


async def test_only_an_account_that_waited_is_asked_about_again(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.set_columns(view.id, status="verified")
    await identity.report_death()
    before = (await identity.events()).count("identity.verification.requested")
    await identity.administration.change_status(LifeEventKind.RESTORE, view.id, **REVERSAL)
    assert (await identity.events()).count("identity.verification.requested") == before


async def test_what_is_in_no_state_for_it_is_refused(identity: IdentityFixture) -> None:
    view = await identity.register()
    with pytest.raises(AccountIsNotBlocked):
        await identity.administration.change_status(
            LifeEventKind.RESTORE, view.id, reason="a test", context=OPS
        )
    await identity.database.reads.execute(CLOSE, view.id)
    with pytest.raises(AccountIsClosed):
        await identity.administration.change_status(
            LifeEventKind.BLOCK, view.id, reason="a test", context=OPS
        )
    with pytest.raises(AccountNotFound):
        await identity.administration.change_status(
            LifeEventKind.BLOCK, UUID(int=7), reason="a test", context=OPS
        )
    assert await identity.history() == []


@pytest.mark.parametrize(
    ("after_the_block", "outcome"), [(MINUTE, "without_effect"), (-MINUTE, "ignored_stale")]
)
async def test_r14_a_death_counts_against_who_was_blocked_before(
    identity: IdentityFixture, after_the_block: timedelta, outcome: str
) -> None:
    view = await identity.register()
    await identity.administration.change_status(
        LifeEventKind.BLOCK, view.id, reason="a stolen account", context=OPS
    )
    await identity.report_death(timestamp=datetime.now(UTC) + after_the_block)
    with pytest.raises(DeathNoticeInForce):
        await identity.administration.change_status(
            LifeEventKind.RESTORE, view.id, reason="found again", context=OPS
        )
    assert (await identity.account(view.id))["status"] == "blocked"
    assert await identity.history() == [
        ("block", "applied", view.id),
        ("death", outcome, view.id),
    ]


async def test_r14_a_death_is_taken_back_in_so_many_words(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=NOON)
    with pytest.raises(DeathNoticeInForce):
        await identity.administration.change_status(
            LifeEventKind.RESTORE, view.id, reason="a test", context=OPS
        )
    await identity.administration.change_status(LifeEventKind.RESTORE, view.id, **REVERSAL)
    assert (await identity.account(view.id))["status"] == "pending_verification"


async def test_r14_a_death_that_was_taken_back_counts_no_longer(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=NOON)
    await identity.administration.change_status(LifeEventKind.RESTORE, view.id, **REVERSAL)
    await identity.administration.change_status(
        LifeEventKind.BLOCK, view.id, reason="a stolen account", context=OPS
    )
    assert (await identity.administration.fetch_report(view.id, OPS)).has_death_notice is False
    await identity.administration.change_status(
        LifeEventKind.RESTORE, view.id, reason="found again", context=OPS
    )
    assert (await identity.account(view.id))["status"] == "pending_verification"


async def test_r14_a_death_of_another_account_counts_against_no_one_else(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    other = await identity.register(email="eve@example.com", identifier_value="AB123457D")
    await identity.report_death(timestamp=NOON)
    await identity.administration.change_status(
        LifeEventKind.BLOCK, other.id, reason="a test", context=OPS
    )
    await identity.administration.change_status(
        LifeEventKind.RESTORE, other.id, reason="a test", context=OPS
    )
    assert (await identity.account(view.id))["status"] == "blocked"
    assert (await identity.account(other.id))["status"] == "pending_verification"
