"""The decision about a life event by its time, as a table."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.life_events.decision import NoticeDecision, decide
from govid.identity.repository.account_status import AccountHolder
from govid.identity.repository.life_events import Notice, NoticeOutcome

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ADA = UUID(int=1)
EVE = UUID(int=2)
SECOND = timedelta(seconds=1)


def build_account(status: str = "verified", life_event_at: datetime | None = None) -> AccountHolder:
    return AccountHolder(
        account_id=ADA,
        status=status,
        status_before={"blocked": "verified"}.get(status),
        identifier_type=None,
        identifier_value=None,
        life_event_at=life_event_at,
        read_at=NOW,
    )


def build_notice(
    kind: LifeEventKind = LifeEventKind.DEATH,
    ahead: timedelta = timedelta(),
    named: UUID | None = None,
) -> Notice:
    return Notice(id=UUID(int=9), kind=kind, occurred_at=NOW + ahead, named_account_id=named)


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [
        (LifeEventKind.DEATH, "registered", NoticeOutcome.APPLIED),
        (LifeEventKind.DEATH, "pending_verification", NoticeOutcome.APPLIED),
        (LifeEventKind.DEATH, "verified", NoticeOutcome.APPLIED),
        (LifeEventKind.DEATH, "verification_failed", NoticeOutcome.APPLIED),
        (LifeEventKind.DEATH, "blocked", NoticeOutcome.WITHOUT_EFFECT),
        (LifeEventKind.DEATH, "closed", NoticeOutcome.UNCLAIMED),
        (LifeEventKind.BLOCK, "verified", NoticeOutcome.APPLIED),
        (LifeEventKind.BLOCK, "blocked", NoticeOutcome.WITHOUT_EFFECT),
        (LifeEventKind.RESTORE, "verified", NoticeOutcome.WITHOUT_EFFECT),
        (LifeEventKind.RESTORE, "blocked", NoticeOutcome.APPLIED),
    ],
)
def test_r14_each_cell_of_the_table(
    kind: LifeEventKind, status: str, outcome: NoticeOutcome
) -> None:
    assert decide(build_notice(kind), now=NOW, holder=build_account(status)).outcome is outcome


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (NOW - timedelta(microseconds=1), NoticeOutcome.APPLIED),
        (NOW, NoticeOutcome.IGNORED_STALE),
        (NOW + timedelta(microseconds=1), NoticeOutcome.IGNORED_STALE),
    ],
)
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (LifeEventKind.DEATH, "verified"),
        (LifeEventKind.BLOCK, "verified"),
        (LifeEventKind.RESTORE, "blocked"),
    ],
)
def test_r14_older_than_or_equal_to_the_last_is_stale(
    kind: LifeEventKind, status: str, last: datetime, outcome: NoticeOutcome
) -> None:
    assert (
        decide(build_notice(kind), now=NOW, holder=build_account(status, last)).outcome is outcome
    )


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [
        (timedelta(seconds=300), NoticeDecision(outcome=NoticeOutcome.APPLIED)),
        (timedelta(seconds=301), NoticeDecision(outcome=NoticeOutcome.PARKED, reason="future")),
        (timedelta(days=7), NoticeDecision(outcome=NoticeOutcome.PARKED, reason="future")),
        (
            timedelta(days=7) + SECOND,
            NoticeDecision(outcome=NoticeOutcome.REVIEW, reason="far_future"),
        ),
    ],
)
def test_r14_what_is_ahead_waits_and_what_is_far_ahead_is_reviewed(
    ahead: timedelta, verdict: NoticeDecision
) -> None:
    assert decide(build_notice(ahead=ahead), now=NOW, holder=build_account()) == verdict


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(days=1), timedelta(days=8)])
def test_another_persons_account_in_a_notice_is_reviewed_whatever_its_time(
    ahead: timedelta,
) -> None:
    verdict = decide(build_notice(ahead=ahead, named=EVE), now=NOW, holder=build_account())
    assert verdict == NoticeDecision(outcome=NoticeOutcome.REVIEW, reason="another_account")


@pytest.mark.parametrize("named", [None, EVE])
def test_a_notice_without_an_account_is_unclaimed(named: UUID | None) -> None:
    verdict = decide(build_notice(named=named), now=NOW, holder=None)
    assert verdict == NoticeDecision(outcome=NoticeOutcome.UNCLAIMED, reason="unclaimed")


def test_a_notice_that_names_its_holder_counts() -> None:
    assert (
        decide(build_notice(named=ADA), now=NOW, holder=build_account()).outcome
        is NoticeOutcome.APPLIED
    )
