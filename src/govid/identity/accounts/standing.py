"""What blocks an account, and what gives it back: all of it in the transaction that decides so."""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import (
    AccountBlocked,
    AccountRestored,
    LifeEventApplied,
    LifeEventIgnoredStale,
    LifeEventParked,
    LifeEventReceived,
    ReviewOpened,
)
from govid.bus.shared.account_status import AccountStatus
from govid.identity.accounts.questions import Questions
from govid.identity.accounts.verdict import Verdict, judge
from govid.identity.life_event_kinds import Kind
from govid.identity.repository.holders import Holder, Holders
from govid.identity.repository.life_events import Entry, LifeEvents, Outcome, Word

DEATH = "death_notified"
OPERATOR = "operator"


class Ending(Protocol):
    """Ends the sign-ins of an account."""

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> Any:
        """Revoke every session of the account that is not revoked yet."""


class Standing:
    """Decides what becomes of an account, writes that down, and carries it out.

    The holder is locked, or there is none: *tx* is where nobody else decides about it.
    """

    def __init__(
        self, holders: Holders, events: LifeEvents, sessions: Ending, questions: Questions
    ) -> None:
        """Change *holders*, write into *events*, end *sessions*, and put *questions* again."""
        self._holders = holders
        self._events = events
        self._sessions = sessions
        self._questions = questions

    async def hear(
        self, tx: Transaction, word: Word, *, now: datetime, holder: Holder | None
    ) -> bool:
        """Decide about *word*, unless that was done before; return whether it was new."""
        verdict = judge(word, now=now, holder=holder)
        concerned = holder is not None and verdict.outcome is not Outcome.UNCLAIMED
        entry = Entry(
            id=word.id,
            kind=word.kind,
            identifier_type=word.identifier_type,
            identifier_digest=word.identifier_digest,
            account_id=holder.account_id if holder is not None and concerned else None,
            occurred_at=word.occurred_at,
            outcome=verdict.outcome,
            operator=word.operator,
            stated_reason=word.stated_reason,
        )
        if not await self._events.add(tx, entry):
            return False
        if entry.kind is Kind.DEATH:
            tx.emit(LifeEventReceived(**told(tx, entry)))
        await self.follow(tx, entry, verdict, holder)
        return True

    async def follow(
        self, tx: Transaction, entry: Entry, verdict: Verdict, holder: Holder | None
    ) -> None:
        """Do what follows from *verdict* on *entry*, which is in the history already."""
        if verdict.outcome is Outcome.REVIEW:
            await self._review(tx, entry, verdict)
        elif verdict.outcome in (Outcome.PARKED, Outcome.UNCLAIMED):
            tx.emit(LifeEventParked(**told(tx, entry), reason=verdict.reason or ""))
        elif verdict.outcome is Outcome.IGNORED_STALE:
            tx.emit(LifeEventIgnoredStale(**told(tx, entry)))
        elif holder is not None and entry.occurred_at is not None:
            changed = verdict.outcome is Outcome.APPLIED
            if not changed:
                await self._holders.date(tx, holder.account_id, entry.occurred_at)
            elif entry.kind is Kind.RESTORE:
                await self._restore(tx, entry, holder, entry.occurred_at)
            else:
                await self._block(tx, entry, holder.account_id, entry.occurred_at)
            if entry.kind is Kind.DEATH:
                tx.emit(LifeEventApplied(**told(tx, entry), changed=changed))

    async def _block(
        self, tx: Transaction, entry: Entry, account_id: UUID, occurred_at: datetime
    ) -> None:
        reason = DEATH if entry.kind is Kind.DEATH else OPERATOR
        await self._holders.block(tx, account_id, occurred_at)
        await self._sessions.revoke_all(tx, account_id, reason=reason)
        await self._holders.forget_ways_in(tx, account_id)
        tx.emit(
            AccountBlocked(
                account_id=account_id,
                reason=reason,
                operator=entry.operator,
                stated_reason=entry.stated_reason,
                timestamp=tx.now,
            )
        )

    async def _restore(
        self, tx: Transaction, entry: Entry, holder: Holder, occurred_at: datetime
    ) -> None:
        await self._holders.restore(tx, holder.account_id, occurred_at)
        tx.emit(
            AccountRestored(
                account_id=holder.account_id,
                reason=OPERATOR,
                operator=entry.operator,
                stated_reason=entry.stated_reason,
                timestamp=tx.now,
            )
        )
        if (
            holder.status_before != AccountStatus.PENDING
            or holder.identifier_type is None
            or holder.identifier_value is None
        ):
            return
        # An answer that came while the account was blocked has been ignored: nobody would ask
        # again, and the holder would wait for ever.
        await self._questions.ask_again(
            tx, holder.account_id, holder.identifier_type, holder.identifier_value
        )

    async def _review(self, tx: Transaction, entry: Entry, verdict: Verdict) -> None:
        reason = verdict.reason or ""
        review_id = await self._events.open_review(tx, entry.id, reason, entry.account_id)
        tx.emit(ReviewOpened(**told(tx, entry), review_id=review_id, reason=reason))


def told(tx: Transaction, entry: Entry) -> dict[str, Any]:
    """Return what every audit event about *entry* says."""
    return {
        "notice_id": entry.id,
        "account_id": entry.account_id,
        "identifier_type": entry.identifier_type,
        "identifier_digest": entry.identifier_digest,
        "occurred_at": entry.occurred_at,
        "timestamp": tx.now,
    }
