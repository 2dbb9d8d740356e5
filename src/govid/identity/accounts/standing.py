"""Blocks and restores accounts, in the transaction that decides about the notice."""

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

DEATH_REASON = "death_notified"
OPERATOR_REASON = "operator"


class Ending(Protocol):
    """Revokes the sessions of an account."""

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> Any:
        """Revoke every session of the account that is not revoked yet."""


class Standing:
    """Applies a notice (death or operator action) to an account.

    Stores the notice in the history, changes the status, revokes sessions and emits the events, all
    in the transaction of the caller. The caller must hold the row lock of the account, so that
    decisions about it are serial; the holder is None if no account exists.
    """

    def __init__(
        self,
        account_status: Holders,
        life_events: LifeEvents,
        sessions: Ending,
        verification_requests: Questions,
    ) -> None:
        """Change *account_status*, write the history to *life_events* and revoke *sessions*.

        A restored account that was pending is resubmitted through *verification_requests*.
        """
        self._account_status = account_status
        self._life_events = life_events
        self._sessions = sessions
        self._verification_requests = verification_requests

    async def hear(
        self, tx: Transaction, notice: Word, *, now: datetime, holder: Holder | None
    ) -> bool:
        """Decide about *notice* and carry it out; return False if it is in the history already."""
        decision = judge(notice, now=now, holder=holder)
        has_account = holder is not None and decision.outcome is not Outcome.UNCLAIMED
        entry = Entry(
            id=notice.id,
            kind=notice.kind,
            identifier_type=notice.identifier_type,
            identifier_digest=notice.identifier_digest,
            account_id=holder.account_id if holder is not None and has_account else None,
            occurred_at=notice.occurred_at,
            outcome=decision.outcome,
            operator=notice.operator,
            stated_reason=notice.stated_reason,
        )
        if not await self._life_events.add(tx, entry):
            return False
        if entry.kind is Kind.DEATH:
            tx.emit(LifeEventReceived(**told(tx, entry)))
        await self.follow(tx, entry, decision, holder)
        return True

    async def follow(
        self, tx: Transaction, entry: Entry, decision: Verdict, holder: Holder | None
    ) -> None:
        """Carry out *decision* on *entry*, which is in the history already."""
        if decision.outcome is Outcome.REVIEW:
            await self._review(tx, entry, decision)
        elif decision.outcome in (Outcome.PARKED, Outcome.UNCLAIMED):
            tx.emit(LifeEventParked(**told(tx, entry), reason=decision.reason or ""))
        elif decision.outcome is Outcome.IGNORED_STALE:
            tx.emit(LifeEventIgnoredStale(**told(tx, entry)))
        elif holder is not None and entry.occurred_at is not None:
            changed = decision.outcome is Outcome.APPLIED
            if not changed:
                await self._account_status.date(tx, holder.account_id, entry.occurred_at)
            elif entry.kind is Kind.RESTORE:
                await self._restore(tx, entry, holder, entry.occurred_at)
            else:
                await self._block(tx, entry, holder.account_id, entry.occurred_at)
            if entry.kind is Kind.DEATH:
                tx.emit(LifeEventApplied(**told(tx, entry), changed=changed))

    async def _block(
        self, tx: Transaction, entry: Entry, account_id: UUID, occurred_at: datetime
    ) -> None:
        reason = DEATH_REASON if entry.kind is Kind.DEATH else OPERATOR_REASON
        await self._account_status.block(tx, account_id, occurred_at)
        await self._sessions.revoke_all(tx, account_id, reason=reason)
        await self._account_status.forget_ways_in(tx, account_id)
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
        await self._account_status.restore(tx, holder.account_id, occurred_at)
        tx.emit(
            AccountRestored(
                account_id=holder.account_id,
                reason=OPERATOR_REASON,
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
        # A verification result that arrived while the account was blocked had no effect. Without a
        # new request, the account would stay pending for ever.
        await self._verification_requests.ask_again(
            tx, holder.account_id, holder.identifier_type, holder.identifier_value
        )

    async def _review(self, tx: Transaction, entry: Entry, decision: Verdict) -> None:
        reason = decision.reason or ""
        review_id = await self._life_events.open_review(tx, entry.id, reason, entry.account_id)
        tx.emit(ReviewOpened(**told(tx, entry), review_id=review_id, reason=reason))


def told(tx: Transaction, entry: Entry) -> dict[str, Any]:
    """Return the fields that all audit events about *entry* have in common."""
    return {
        "notice_id": entry.id,
        "account_id": entry.account_id,
        "identifier_type": entry.identifier_type,
        "identifier_digest": entry.identifier_digest,
        "occurred_at": entry.occurred_at,
        "timestamp": tx.now,
    }
