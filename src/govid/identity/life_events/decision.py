"""Decides the outcome of a notice: pure rules, without a database.

Notices are ordered by the time of the event, not by their arrival. A notice that arrives late,
twice or out of order therefore leaves the account in the same status: the notice with the newest
event time is in force.
"""

from datetime import datetime, timedelta

import msgspec

from govid.bus.shared.contract import AccountStatus
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.repository.account_status import AccountHolder
from govid.identity.repository.life_events import Notice, NoticeOutcome

MAX_CLOCK_SKEW = timedelta(seconds=300)
"""Largest difference between clocks: a notice this far ahead is applied at once."""
MAX_SCHEDULE_AHEAD = timedelta(days=7)
"""A notice that is further ahead cannot be a clock difference, so a review is opened."""


class NoticeDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome, and a permanent reason code where the outcome alone is not specific."""

    outcome: NoticeOutcome
    reason: str | None = None


def decide(notice: Notice, *, now: datetime, holder: AccountHolder | None) -> NoticeDecision:
    """Decide about a notice for *holder*, which is None if no account has the identifier.

    If the notice names another account than the holder of the identifier, one of the two is wrong.
    A review is opened, because no account is blocked if its holder is not certain.
    """
    if holder is not None and notice.named_account_id not in (None, holder.account_id):
        return NoticeDecision(outcome=NoticeOutcome.REVIEW, reason="another_account")
    if notice.occurred_at - now > MAX_SCHEDULE_AHEAD:
        return NoticeDecision(outcome=NoticeOutcome.REVIEW, reason="far_future")
    if notice.occurred_at - now > MAX_CLOCK_SKEW:
        return NoticeDecision(outcome=NoticeOutcome.PARKED, reason="future")
    if holder is None or holder.status == AccountStatus.CLOSED:
        return NoticeDecision(outcome=NoticeOutcome.UNCLAIMED, reason="unclaimed")
    if holder.life_event_at is not None and notice.occurred_at <= holder.life_event_at:
        return NoticeDecision(outcome=NoticeOutcome.IGNORED_STALE)
    if (notice.kind is LifeEventKind.RESTORE) == (holder.status != AccountStatus.BLOCKED):
        return NoticeDecision(outcome=NoticeOutcome.WITHOUT_EFFECT)
    return NoticeDecision(outcome=NoticeOutcome.APPLIED)
