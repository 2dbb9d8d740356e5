"""The time of an event orders it, however late or often it arrives."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from govid.bus import Actor, OperationContext, uuid7
from govid.bus.events import IdentifierType
from govid.identity.errors import InvalidToken
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.life_events import Notice
from tests.integration.identity.conftest import IdentityFixture

OPS = OperationContext(correlation_id="act", actor=Actor(kind="operator", id="ops-7"))
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INSERT = """
    INSERT INTO identity.account (id, email, email_canonical, identifier_type, identifier_value,
                                  password_hash, status, created_at, updated_at)
    VALUES ($1, $2, $2, 'NIN', $2, '', 'verified', now(), now())
"""
DEATH, BLOCK, RESTORE = LifeEventKind.DEATH, LifeEventKind.BLOCK, LifeEventKind.RESTORE
REVERSAL: dict[str, Any] = {"reason": "a mix-up", "context": OPS, "reverse_death": True}


async def apply_notice(
    identity: IdentityFixture, account_id: UUID, kind: LifeEventKind, occurred_at: datetime
) -> None:
    """Apply a notice that *kind* happened to the account at *occurred_at*."""
    async with identity.uow.begin(OPS) as tx:
        holder = await AccountStatusRepository().lock_account(tx, account_id)
        word = Notice(
            id=uuid7(),
            kind=kind,
            identifier_type=IdentifierType.NIN,
            identifier_digest="0" * 32,
            occurred_at=occurred_at,
            operator=None if kind is DEATH else "ops-7",
            stated_reason=None if kind is DEATH else "a test",
        )
        await identity.death_notices._status_service.apply_notice(
            tx, word, now=datetime.now(UTC), holder=holder
        )


async def ending(
    identity: IdentityFixture, number: int, order: Sequence[tuple[LifeEventKind, int]]
) -> tuple[Any, ...]:
    """Apply the notices of *order*, kinds and minutes, to a new account; return its state then."""
    account_id = UUID(int=number)
    await identity.database.reads.execute(INSERT, account_id, f"AB{number:06}C")
    for kind, minute in order:
        await apply_notice(identity, account_id, kind, NOON + minute * MINUTE)
    row = await identity.account(account_id)
    return row["status"], row["status_before"], row["life_event_at"]


@pytest.mark.parametrize(
    ("said", "last"),
    [
        (
            [(DEATH, 1), (RESTORE, 2), (DEATH, 3), (RESTORE, 4), (DEATH, 5)],
            ("blocked", "verified", NOON + 5 * MINUTE),
        ),
        (
            [(DEATH, 1), (DEATH, 2), (BLOCK, 3), (DEATH, 4), (RESTORE, 5)],
            ("verified", None, NOON + 5 * MINUTE),
        ),
        (
            [(BLOCK, 1), (RESTORE, 2), (DEATH, 3), (DEATH, 3), (DEATH, 2)],
            ("blocked", "verified", NOON + 3 * MINUTE),
        ),
    ],
)
async def test_r14_every_order_of_five_events_ends_alike(
    identity: IdentityFixture, said: list[tuple[LifeEventKind, int]], last: tuple[Any, ...]
) -> None:
    orders = enumerate(permutations(said))
    assert {await ending(identity, number, order) for number, order in orders} == {last}


async def test_r14_a_late_notice_is_stale(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=NOON)
    row = await identity.account(view.id)
    await identity.report_death(timestamp=NOON - MINUTE)
    assert await identity.account(view.id) == row
    assert await identity.history() == [
        ("death", "applied", view.id),
        ("death", "ignored_stale", view.id),
    ]


async def test_r14_a_newer_notice_about_the_same_is_noted(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=NOON)
    await identity.report_death(timestamp=NOON + MINUTE)
    assert (await identity.account(view.id))["life_event_at"] == NOON + MINUTE
    assert await identity.history() == [
        ("death", "applied", view.id),
        ("death", "without_effect", view.id),
    ]
    assert (await identity.events()).count("identity.account.blocked") == 1


async def test_r14_a_notice_older_than_a_reversal_is_stale(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death()
    await identity.administration.change_status(RESTORE, view.id, **REVERSAL)
    await identity.report_death(timestamp=NOON)
    assert (await identity.account(view.id))["status"] == "pending_verification"
    assert (await identity.history())[-1] == ("death", "ignored_stale", view.id)


async def test_r14_a_notice_newer_than_a_reversal_blocks_again(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=NOON)
    await identity.administration.change_status(RESTORE, view.id, **REVERSAL)
    await identity.report_death(timestamp=datetime.now(UTC) + MINUTE)
    assert (await identity.account(view.id))["status"] == "blocked"


async def test_r14_a_reversal_counts_also_against_a_clock_that_is_ahead(
    identity: IdentityFixture,
) -> None:
    view = await identity.register()
    ahead = datetime.now(UTC) + 4 * MINUTE
    await identity.report_death(timestamp=ahead)
    await identity.administration.change_status(RESTORE, view.id, **REVERSAL)
    row = await identity.account(view.id)
    assert (row["status"], row["life_event_at"]) == (
        "pending_verification",
        ahead + timedelta(microseconds=1),
    )


async def test_r14_old_tokens_stay_dead_after_a_reversal(identity: IdentityFixture) -> None:
    view = await identity.register()
    token = await identity.login()
    await identity.report_death()
    await identity.administration.change_status(RESTORE, view.id, **REVERSAL)
    with pytest.raises(InvalidToken):
        await identity.authenticate(token)
    assert (await identity.authenticate(await identity.login())).account_id == view.id


async def test_a_time_without_an_offset_is_utc(identity: IdentityFixture) -> None:
    view = await identity.register()
    await identity.report_death(timestamp=NOON.replace(tzinfo=None))
    assert (await identity.account(view.id))["life_event_at"] == NOON
