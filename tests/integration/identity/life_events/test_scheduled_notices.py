"""Notices with a future date are scheduled."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from govid.identity.life_event_kinds import LifeEventKind
from tests.integration.identity.conftest import IdentityFixture
from tests.integration.identity.life_events.test_event_time import OPS

HOUR = timedelta(hours=1)


async def apply_due_notices(identity: IdentityFixture) -> None:
    """Let an hour pass for what is parked, and settle it."""
    query = "UPDATE identity.life_event SET occurred_at = occurred_at - interval '1 hour'"
    await identity.database.reads.execute(f"{query} WHERE outcome = 'parked'")
    await identity.scheduled_notices.apply_due()


async def test_r14_a_notice_of_the_future_waits(identity: IdentityFixture) -> None:
    view = await identity.register()
    row = await identity.account(view.id)
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR)
    await identity.scheduled_notices.apply_due()
    assert await identity.account(view.id) == row
    assert await identity.history() == [("death", "parked", view.id)]
    assert (await identity.events())[-1] == "identity.life_event.parked"


async def test_r14_when_its_time_has_come_it_blocks(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR)
    await apply_due_notices(identity)
    assert (await identity.account(view.id))["status"] == "blocked"
    assert await identity.history() == [("death", "applied", view.id)]
    assert (await identity.events())[-2:] == [
        "identity.account.blocked",
        "identity.life_event.applied",
    ]


async def test_replicas_that_look_at_one_moment_settle_it_once(identity: IdentityFixture) -> None:
    await identity.register()
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR)
    await asyncio.gather(*(apply_due_notices(identity) for _ in range(4)))
    assert (await identity.events()).count("identity.account.blocked") == 1


async def test_r14_by_then_something_newer_may_be_known(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR)
    await identity.administration.change_status(
        LifeEventKind.BLOCK, view.id, reason="a test", context=OPS
    )
    await identity.administration.change_status(
        LifeEventKind.RESTORE, view.id, reason="a test", context=OPS
    )
    await apply_due_notices(identity)
    assert (await identity.account(view.id))["status"] == "pending_verification"
    assert ("death", "ignored_stale", view.id) in await identity.history()


async def test_who_registers_meanwhile_is_blocked_when_the_time_comes(
    identity: IdentityFixture,
) -> None:
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR)
    view = await identity.register()
    assert (await identity.account(view.id))["contra_indicators"] == []
    await apply_due_notices(identity)
    assert (await identity.account(view.id))["status"] == "blocked"


async def test_without_an_account_it_becomes_unclaimed(identity: IdentityFixture) -> None:
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR)
    await apply_due_notices(identity)
    assert await identity.history() == [("death", "unclaimed", None)]


async def test_who_gave_the_identifier_back_is_not_blocked(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR)
    nothing = {"identifier_type": None, "identifier_value": None}
    await identity.set_columns(view.id, status="registered", **nothing)
    await apply_due_notices(identity)
    assert (await identity.account(view.id))["status"] == "registered"
    assert await identity.history() == [("death", "unclaimed", None)]


async def test_r14_what_is_more_than_a_week_ahead_is_reviewed(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=datetime.now(UTC) + timedelta(days=8))
    assert await identity.history() == [("death", "review", view.id)]
    assert (await identity.account(view.id))["status"] == "pending_verification"


async def test_one_that_fails_stops_no_other(
    identity: IdentityFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [
        await identity.register(),
        await identity.register(email="eve@example.com", identifier_value="AB123457D"),
    ]
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR)
    await identity.report_death(timestamp=datetime.now(UTC) + HOUR, identifier_value="AB123457D")
    apply: Any = identity.scheduled_notices._status_service.apply_decision

    async def fail(tx: Any, entry: Any, *rest: Any) -> None:
        await {views[0].id: refuse}.get(entry.account_id, apply)(tx, entry, *rest)

    async def refuse(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(identity.scheduled_notices._status_service, "apply_decision", fail)
    await apply_due_notices(identity)
    rows = [await identity.account(view.id) for view in views]
    assert [row["status"] for row in rows] == ["pending_verification", "blocked"]
