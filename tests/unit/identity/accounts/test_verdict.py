"""The rules of order, as a table."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from govid.identity.accounts.verdict import Verdict, judge
from govid.identity.life_event_kinds import Kind
from govid.identity.repository.holders import Holder
from govid.identity.repository.life_events import Outcome, Word

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ADA = UUID(int=1)
EVE = UUID(int=2)
SECOND = timedelta(seconds=1)


def a_holder(status: str = "verified", life_event_at: datetime | None = None) -> Holder:
    return Holder(
        account_id=ADA,
        status=status,
        status_before={"blocked": "verified"}.get(status),
        identifier_type=None,
        identifier_value=None,
        life_event_at=life_event_at,
        read_at=NOW,
    )


def a_word(
    kind: Kind = Kind.DEATH, ahead: timedelta = timedelta(), named: UUID | None = None
) -> Word:
    return Word(id=UUID(int=9), kind=kind, occurred_at=NOW + ahead, named=named)


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [
        (Kind.DEATH, "registered", Outcome.APPLIED),
        (Kind.DEATH, "pending_verification", Outcome.APPLIED),
        (Kind.DEATH, "verified", Outcome.APPLIED),
        (Kind.DEATH, "verification_failed", Outcome.APPLIED),
        (Kind.DEATH, "blocked", Outcome.WITHOUT_EFFECT),
        (Kind.DEATH, "closed", Outcome.UNCLAIMED),
        (Kind.BLOCK, "verified", Outcome.APPLIED),
        (Kind.BLOCK, "blocked", Outcome.WITHOUT_EFFECT),
        (Kind.RESTORE, "verified", Outcome.WITHOUT_EFFECT),
        (Kind.RESTORE, "blocked", Outcome.APPLIED),
    ],
)
def test_r14_each_cell_of_the_table(kind: Kind, status: str, outcome: Outcome) -> None:
    assert judge(a_word(kind), now=NOW, holder=a_holder(status)).outcome is outcome


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (NOW - timedelta(microseconds=1), Outcome.APPLIED),
        (NOW, Outcome.IGNORED_STALE),
        (NOW + timedelta(microseconds=1), Outcome.IGNORED_STALE),
    ],
)
@pytest.mark.parametrize(
    ("kind", "status"),
    [(Kind.DEATH, "verified"), (Kind.BLOCK, "verified"), (Kind.RESTORE, "blocked")],
)
def test_r14_older_than_or_equal_to_the_last_is_stale(
    kind: Kind, status: str, last: datetime, outcome: Outcome
) -> None:
    assert judge(a_word(kind), now=NOW, holder=a_holder(status, last)).outcome is outcome


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [
        (timedelta(seconds=300), Verdict(outcome=Outcome.APPLIED)),
        (timedelta(seconds=301), Verdict(outcome=Outcome.PARKED, reason="future")),
        (timedelta(days=7), Verdict(outcome=Outcome.PARKED, reason="future")),
        (timedelta(days=7) + SECOND, Verdict(outcome=Outcome.REVIEW, reason="far_future")),
    ],
)
def test_r14_what_is_ahead_waits_and_what_is_far_ahead_is_reviewed(
    ahead: timedelta, verdict: Verdict
) -> None:
    assert judge(a_word(ahead=ahead), now=NOW, holder=a_holder()) == verdict


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(days=1), timedelta(days=8)])
def test_another_persons_account_in_a_notice_is_reviewed_whatever_its_time(
    ahead: timedelta,
) -> None:
    verdict = judge(a_word(ahead=ahead, named=EVE), now=NOW, holder=a_holder())
    assert verdict == Verdict(outcome=Outcome.REVIEW, reason="another_account")


@pytest.mark.parametrize("named", [None, EVE])
def test_a_notice_without_an_account_is_unclaimed(named: UUID | None) -> None:
    verdict = judge(a_word(named=named), now=NOW, holder=None)
    assert verdict == Verdict(outcome=Outcome.UNCLAIMED, reason="unclaimed")


def test_a_notice_that_names_its_holder_counts() -> None:
    assert judge(a_word(named=ADA), now=NOW, holder=a_holder()).outcome is Outcome.APPLIED
