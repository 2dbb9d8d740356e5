"""What a notice or an act amounts to: the rules of order, without a database.

The time of an event orders it, not its arrival, so whatever comes late, twice or in another order
leaves an account as it would have been: the newest word counts, and it was the newest all along.
"""

from datetime import datetime, timedelta

import msgspec

from govid.bus.shared.account_status import AccountStatus
from govid.identity.life_event_kinds import Kind
from govid.identity.repository.holders import Holder
from govid.identity.repository.life_events import Outcome, Word

SKEW = timedelta(seconds=300)
"""How far ahead a clock may be."""
LONGEST_WAIT = timedelta(days=7)
"""What is further ahead is no clock's mistake, and a person has to look at it."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome, and why: a permanent code where the outcome alone does not say."""

    outcome: Outcome
    reason: str | None = None


def judge(word: Word, *, now: datetime, holder: Holder | None) -> Verdict:
    """Decide about something that is said of *holder*, or of nobody.

    Where the account that a notice names is not the holder of its identifier, one of the two is
    wrong, and nobody loses an account by a guess.
    """
    if holder is not None and word.named not in (None, holder.account_id):
        return Verdict(outcome=Outcome.REVIEW, reason="another_account")
    if word.occurred_at - now > LONGEST_WAIT:
        return Verdict(outcome=Outcome.REVIEW, reason="far_future")
    if word.occurred_at - now > SKEW:
        return Verdict(outcome=Outcome.PARKED, reason="future")
    if holder is None or holder.status == AccountStatus.CLOSED:
        return Verdict(outcome=Outcome.UNCLAIMED, reason="unclaimed")
    if holder.life_event_at is not None and word.occurred_at <= holder.life_event_at:
        return Verdict(outcome=Outcome.IGNORED_STALE)
    if (word.kind is Kind.RESTORE) == (holder.status != AccountStatus.BLOCKED):
        return Verdict(outcome=Outcome.WITHOUT_EFFECT)
    return Verdict(outcome=Outcome.APPLIED)
