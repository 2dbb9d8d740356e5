"""The effects of a notice of death."""

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest

from govid.bus.events import IdentifierType
from govid.identity.errors import AccountIsBlocked, InvalidRefreshToken, InvalidToken
from govid.identity.life_event_kinds import LifeEventKind
from tests.integration.identity.conftest import CONTEXT, IdentityFixture, a_death, build_delivery

NHS_NUMBER = {"identifier_value": "9434765919"}
A_LINK = """
    INSERT INTO identity.link (hash, account_id, purpose, address, issued_at, expires_at)
    VALUES (sha256('link'), $1, 'reset', 'ada@example.com', now(), now() + interval '1 hour')
"""
CLOSE = """
    UPDATE identity.account
    SET status = 'closed', closed_at = now(), email = NULL, email_canonical = NULL,
        phone_number = NULL, password_hash = NULL
    WHERE id = $1
"""


async def test_r13_the_holder_is_blocked_in_one_commit(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.login()
    await identity.report_death()
    row = await identity.account(view.id)
    session = await identity.database.reads.fetchrow("SELECT * FROM identity.session")
    assert (row["status"], row["status_before"]) == ("blocked", "pending_verification")
    assert row["tokens_valid_after"] > session["created_at"]
    assert session["revoked_at"] > row["tokens_valid_after"]
    assert session["revoked_reason"] == "death_notified"
    assert (await identity.events())[-4:] == [
        "identity.life_event.received",
        "identity.session.revoked",
        "identity.account.blocked",
        "identity.life_event.applied",
    ]


@pytest.mark.parametrize("status", ["verified", "verification_failed"])
async def test_the_status_before_is_remembered(identity: IdentityFixture, status: str) -> None:
    view = await identity.register()
    await identity.set_columns(view.id, status=status)
    await identity.report_death()
    row = await identity.account(view.id)
    assert (row["status"], row["status_before"]) == ("blocked", status)


async def test_the_identifier_may_be_written_in_another_way(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(identifier_value="ab 12 34 56 c")
    assert (await identity.account(view.id))["status"] == "blocked"


async def test_an_nhs_holder_of_the_prototypes_form_is_found(identity: IdentityFixture) -> None:
    nhs = {"identifier_type": IdentifierType.NHS, "identifier_value": "NHS123456789"}
    view = await identity.register(**nhs)
    await identity.report_death(**nhs)
    assert (await identity.account(view.id))["status"] == "blocked"


async def test_a_second_notice_changes_nothing(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death()
    row = await identity.account(view.id)
    await identity.report_death(timestamp=row["life_event_at"])
    assert await identity.account(view.id) == row
    assert (await identity.events())[-2:] == [
        "identity.life_event.received",
        "identity.life_event.ignored_stale",
    ]


async def test_a_notice_that_names_the_holder_blocks(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(user_id=view.id)
    assert (await identity.account(view.id))["status"] == "blocked"


async def test_a_notice_that_names_another_person_has_no_effect_and_is_reviewed(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    row = await identity.account(view.id)
    await identity.report_death(user_id=UUID(int=7))
    assert await identity.account(view.id) == row
    assert await identity.history() == [("death", "review", view.id)]
    assert (await identity.events())[-2:] == [
        "identity.life_event.received",
        "identity.review.opened",
    ]
    review = await identity.database.reads.fetchrow("SELECT * FROM identity.review_item")
    assert (review["reason"], review["account_id"], review["state"]) == (
        "another_account",
        view.id,
        "open",
    )


@pytest.mark.parametrize(
    "changes",
    [{"identifier_value": "AB123457C"}, {"identifier_type": IdentifierType.NHS, **NHS_NUMBER}],
)
async def test_a_notice_about_another_person_is_kept(
    identity: IdentityFixture, changes: dict[str, Any]
) -> None:
    view = await identity.register()
    row = await identity.account(view.id)
    await identity.report_death(**changes)
    assert await identity.account(view.id) == row
    assert await identity.history() == [("death", "unclaimed", None)]


@pytest.mark.parametrize(
    "changes",
    [
        {"identifier_value": "nonsense"},
        {"identifier_value": ""},
        {"identifier_type": IdentifierType.NHS},
        {"timestamp": datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))},
        {"timestamp": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))},
    ],
)
async def test_r23_a_notice_that_cannot_be_has_no_effect_and_is_not_tried_again(
    identity: IdentityFixture, changes: dict[str, Any]
) -> None:
    view = await identity.register()
    row = await identity.account(view.id)
    await identity.report_death(**changes)
    assert await identity.account(view.id) == row
    assert await identity.history() == [("death", "illegal", None)]
    assert (await identity.events())[-3:] == [
        "identity.life_event.received",
        "identity.life_event.illegal",
        "identity.review.opened",
    ]


UNREADABLE: list[dict[str, Any]] = [
    {"identifier_value": "nonsense"},
    {"identifier_value": ""},
    {"identifier_value": "AB12345"},
    {"identifier_type": IdentifierType.NHS, "identifier_value": "943 476 5910"},
    {"timestamp": datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))},
]


@pytest.mark.parametrize("names_account", [True, False])
@pytest.mark.parametrize("changes", UNREADABLE)
async def test_a7_a_notice_that_cannot_be_read_opens_a_review_and_blocks_no_one(
    identity: IdentityFixture,
    changes: dict[str, Any],
    names_account: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    view = await identity.register()
    row = await identity.account(view.id)
    user_id = view.id if names_account else uuid4()
    await identity.report_death(**changes, user_id=user_id)
    assert await identity.account(view.id) == row
    assert await identity.history() == [("death", "illegal", None)]
    assert await identity.reviews() == [("notice_unreadable", view.id if names_account else None)]
    lines = [one for one in caplog.records if one.message == "life_event.notice_unreadable"]
    assert [one.levelname for one in lines] == ["ERROR"]


async def test_a7_a_notice_that_comes_again_opens_no_second_review(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    delivery = build_delivery(a_death(identifier_value="nonsense"))
    await identity.deliver(identity.death_notices, delivery)
    await identity.deliver(identity.death_notices, delivery)
    assert await identity.reviews() == [("notice_unreadable", None)]


async def test_r13_a_notice_whose_transaction_fails_leaves_nothing(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    token = await identity.login()
    before = await identity.events()
    delivery = build_delivery(a_death())
    outcome = await identity.death_notices.prepare(delivery)
    with pytest.raises(ZeroDivisionError):
        async with identity.uow.begin(delivery.operation_context("test")) as tx:
            await identity.death_notices.apply(tx, delivery, outcome)
            raise ZeroDivisionError
    assert (await identity.authenticate(token)).account_id == view.id
    assert (await identity.events(), await identity.history()) == (before, [])


async def test_r13_no_way_in_is_left(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.begin()
    await identity.database.reads.execute(A_LINK, view.id)
    assert await identity.count("identity.refresh_token") == 1
    await identity.report_death()
    assert await identity.count("identity.refresh_token") == 0
    assert await identity.count("identity.link") == 0


async def test_r13_every_grant_refuses_afterwards(identity: IdentityFixture) -> None:
    await identity.register()
    once, renewable = await identity.login(), await identity.begin()
    await identity.report_death()
    with pytest.raises(InvalidToken):
        await identity.authenticate(once)
    with pytest.raises(InvalidToken):
        await identity.authenticate(renewable.access_token)
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(renewable.refresh_token)
    with pytest.raises(AccountIsBlocked):
        await identity.login()
    with pytest.raises(AccountIsBlocked):
        await identity.begin()


async def test_r14_no_old_grant_comes_back_with_the_account(identity: IdentityFixture) -> None:
    view = await identity.register()
    renewable = await identity.begin()
    await identity.report_death()
    await identity.administration.change_status(
        LifeEventKind.RESTORE, view.id, reason="a mix-up", context=CONTEXT, reverse_death=True
    )
    with pytest.raises(InvalidToken):
        await identity.authenticate(renewable.access_token)
    with pytest.raises(InvalidRefreshToken):
        await identity.refresh(renewable.refresh_token)
    assert (await identity.begin()).session_id != renewable.session_id


async def test_r23_a_notice_that_is_delivered_again_changes_nothing(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    delivery = build_delivery(a_death())
    await identity.deliver(identity.death_notices, delivery)
    row, events = await identity.account(view.id), await identity.events()
    await identity.deliver(identity.death_notices, delivery)
    assert (await identity.account(view.id), await identity.events()) == (row, events)
    assert await identity.history() == [("death", "applied", view.id)]


async def test_r23_a_failure_after_the_last_commit_has_no_second_effect(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    delivery = build_delivery(a_death())
    outcome = await identity.death_notices.prepare(delivery)
    with pytest.raises(ZeroDivisionError):
        async with identity.uow.begin(delivery.operation_context("test")) as tx:
            await identity.death_notices.apply(tx, delivery, outcome)
            tx.after_commit(lambda: 1 // 0)
    row, events = await identity.account(view.id), await identity.events()
    assert row["status"] == "blocked"
    await identity.deliver(identity.death_notices, delivery)
    assert (await identity.account(view.id), await identity.events()) == (row, events)


async def test_a_closed_account_stays_closed(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.database.reads.execute(CLOSE, view.id)
    await identity.report_death()
    assert (await identity.account(view.id))["status"] == "closed"
    assert await identity.history() == [("death", "unclaimed", None)]


async def test_no_session_survives_sign_ins_that_race_with_a_block(
    identity: IdentityFixture,
) -> None:
    await identity.register()
    await asyncio.gather(
        *(identity.login() for _ in range(8)), identity.report_death(), return_exceptions=True
    )
    query = "SELECT count(*) FROM identity.session WHERE revoked_at IS NULL"
    assert await identity.database.reads.fetchval(query) == 0
