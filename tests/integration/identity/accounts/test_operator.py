"""Operators at the desk."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from govid.identity.errors import (
    AccountIsClosed,
    AccountIsNotBlocked,
    AccountNotFound,
    DeathStands,
)
from govid.identity.life_event_kinds import Kind
from tests.integration.identity.accounts.test_event_time import MINUTE, NOON, OPS, REVERSAL
from tests.integration.identity.accounts.test_lifecycle import CLOSE
from tests.integration.identity.conftest import Parts


@pytest.mark.parametrize(
    "status", ["pending_verification", "verified", "verification_failed", "registered"]
)
async def test_r14_each_status_comes_back(identity: Parts, status: str) -> None:
    view = await identity.register()
    nothing = {"identifier_type": None, "identifier_value": None}
    columns = {"registered": nothing}.get(status, {})
    await identity.set(view.id, status=status, **columns)
    await identity.desk.act(Kind.BLOCK, view.id, reason="a test", cause=OPS)
    assert (await identity.account(view.id))["status"] == "blocked"
    await identity.desk.act(Kind.RESTORE, view.id, reason="a test", cause=OPS)
    row = await identity.account(view.id)
    assert (row["status"], row["status_before"]) == (status, None)


async def test_two_operators_at_once_block_once(identity: Parts) -> None:
    view = await identity.register()
    results = await asyncio.gather(
        *(identity.desk.act(Kind.BLOCK, view.id, reason="a test", cause=OPS) for _ in range(5)),
        return_exceptions=True,
    )
    assert Counter(type(result).__name__ for result in results) == {
        "NoneType": 1,
        "AccountIsBlockedAlready": 4,
    }
    assert await identity.history() == [("block", "applied", view.id)]


async def test_only_an_account_that_waited_is_asked_about_again(identity: Parts) -> None:
    view = await identity.register()
    await identity.set(view.id, status="verified")
    await identity.die()
    before = (await identity.events()).count("identity.verification.requested")
    await identity.desk.act(Kind.RESTORE, view.id, **REVERSAL)
    assert (await identity.events()).count("identity.verification.requested") == before


async def test_what_is_in_no_state_for_it_is_refused(identity: Parts) -> None:
    view = await identity.register()
    with pytest.raises(AccountIsNotBlocked):
        await identity.desk.act(Kind.RESTORE, view.id, reason="a test", cause=OPS)
    await identity.database.reads.execute(CLOSE, view.id)
    with pytest.raises(AccountIsClosed):
        await identity.desk.act(Kind.BLOCK, view.id, reason="a test", cause=OPS)
    with pytest.raises(AccountNotFound):
        await identity.desk.act(Kind.BLOCK, UUID(int=7), reason="a test", cause=OPS)
    assert await identity.history() == []


@pytest.mark.parametrize(
    ("after_the_block", "outcome"), [(MINUTE, "without_effect"), (-MINUTE, "ignored_stale")]
)
async def test_r14_a_death_counts_against_who_was_blocked_before(
    identity: Parts, after_the_block: timedelta, outcome: str
) -> None:
    view = await identity.register()
    await identity.desk.act(Kind.BLOCK, view.id, reason="a stolen account", cause=OPS)
    await identity.die(timestamp=datetime.now(UTC) + after_the_block)
    with pytest.raises(DeathStands):
        await identity.desk.act(Kind.RESTORE, view.id, reason="found again", cause=OPS)
    assert (await identity.account(view.id))["status"] == "blocked"
    assert await identity.history() == [
        ("block", "applied", view.id),
        ("death", outcome, view.id),
    ]


async def test_r14_a_death_is_taken_back_in_so_many_words(identity: Parts) -> None:
    view = await identity.register()
    await identity.die(timestamp=NOON)
    with pytest.raises(DeathStands):
        await identity.desk.act(Kind.RESTORE, view.id, reason="a test", cause=OPS)
    await identity.desk.act(Kind.RESTORE, view.id, **REVERSAL)
    assert (await identity.account(view.id))["status"] == "pending_verification"


async def test_r14_a_death_that_was_taken_back_counts_no_longer(identity: Parts) -> None:
    view = await identity.register()
    await identity.die(timestamp=NOON)
    await identity.desk.act(Kind.RESTORE, view.id, **REVERSAL)
    await identity.desk.act(Kind.BLOCK, view.id, reason="a stolen account", cause=OPS)
    assert (await identity.desk.show(view.id, OPS)).death_stands is False
    await identity.desk.act(Kind.RESTORE, view.id, reason="found again", cause=OPS)
    assert (await identity.account(view.id))["status"] == "pending_verification"


async def test_r14_a_death_of_another_account_counts_against_no_one_else(identity: Parts) -> None:
    view = await identity.register()
    other = await identity.register(email="eve@example.com", identifier_value="AB123457D")
    await identity.die(timestamp=NOON)
    await identity.desk.act(Kind.BLOCK, other.id, reason="a test", cause=OPS)
    await identity.desk.act(Kind.RESTORE, other.id, reason="a test", cause=OPS)
    assert (await identity.account(view.id))["status"] == "blocked"
    assert (await identity.account(other.id))["status"] == "pending_verification"
