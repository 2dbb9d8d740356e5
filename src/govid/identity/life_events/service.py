"""Blocks and restores accounts, in the transaction that decides about the notice."""

from datetime import datetime
from typing import Any
from uuid import UUID

from govid.bus import Transaction
from govid.bus.events import (
    AccountBlocked,
    AccountRestored,
    LifeEventApplied,
    LifeEventIgnoredStale,
    LifeEventParked,
    LifeEventReceived,
    ReviewOpened,
)
from govid.bus.shared.contract import AccountStatus
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.life_events.decision import NoticeDecision, decide
from govid.identity.repository.account_status import AccountHolder, AccountStatusRepository
from govid.identity.repository.life_events import (
    LifeEventEntry,
    LifeEventRepository,
    Notice,
    NoticeOutcome,
)
from govid.identity.sessions.management import SessionRevoker
from govid.identity.verification.requests import VerificationRequests

DEATH_REASON = "death_notified"
OPERATOR_REASON = "operator"


class AccountStatusService:
    """Applies a notice (death or operator action) to an account.

    Stores the notice in the history, changes the status, revokes sessions and emits the events, all
    in the transaction of the caller. The caller must hold the row lock of the account, so that
    decisions about it are serial; the holder is None if no account exists.
    """

    def __init__(
        self,
        account_status: AccountStatusRepository,
        life_events: LifeEventRepository,
        session_revoker: SessionRevoker,
        verification_requests: VerificationRequests,
    ) -> None:
        """Change *account_status* and write the history to *life_events*.

        Sessions of a blocked account are revoked by *session_revoker*.
        A restored account that was pending is resubmitted through *verification_requests*.
        """
        self._account_status = account_status
        self._life_events = life_events
        self._session_revoker = session_revoker
        self._verification_requests = verification_requests

    async def apply_notice(
        self, tx: Transaction, notice: Notice, *, now: datetime, holder: AccountHolder | None
    ) -> bool:
        """Decide about *notice* and carry it out; return False if it is in the history already."""
        decision = decide(notice, now=now, holder=holder)
        has_account = holder is not None and decision.outcome is not NoticeOutcome.UNCLAIMED
        entry = LifeEventEntry(
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
        if not await self._life_events.insert(tx, entry):
            return False
        if entry.kind is LifeEventKind.DEATH:
            tx.emit(LifeEventReceived(**notice_fields(tx, entry)))
        await self.apply_decision(tx, entry, decision, holder)
        return True

    async def apply_decision(
        self,
        tx: Transaction,
        entry: LifeEventEntry,
        decision: NoticeDecision,
        holder: AccountHolder | None,
    ) -> None:
        """Carry out *decision* on *entry*, which is in the history already."""
        if decision.outcome is NoticeOutcome.REVIEW:
            await self._open_review(tx, entry, decision)
        elif decision.outcome in (NoticeOutcome.PARKED, NoticeOutcome.UNCLAIMED):
            tx.emit(LifeEventParked(**notice_fields(tx, entry), reason=decision.reason or ""))
        elif decision.outcome is NoticeOutcome.IGNORED_STALE:
            tx.emit(LifeEventIgnoredStale(**notice_fields(tx, entry)))
        elif holder is not None and entry.occurred_at is not None:
            changed = decision.outcome is NoticeOutcome.APPLIED
            if not changed:
                await self._account_status.record_life_event_time(
                    tx, holder.account_id, entry.occurred_at
                )
            elif entry.kind is LifeEventKind.RESTORE:
                await self._restore(tx, entry, holder, entry.occurred_at)
            else:
                await self._block(tx, entry, holder.account_id, entry.occurred_at)
            if entry.kind is LifeEventKind.DEATH:
                tx.emit(LifeEventApplied(**notice_fields(tx, entry), changed=changed))

    async def _block(
        self, tx: Transaction, entry: LifeEventEntry, account_id: UUID, occurred_at: datetime
    ) -> None:
        reason = DEATH_REASON if entry.kind is LifeEventKind.DEATH else OPERATOR_REASON
        await self._account_status.block(tx, account_id, occurred_at)
        await self._session_revoker.revoke_all(tx, account_id, reason=reason)
        await self._account_status.delete_pending_tokens(tx, account_id)
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
        self, tx: Transaction, entry: LifeEventEntry, holder: AccountHolder, occurred_at: datetime
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
        await self._verification_requests.resubmit(
            tx, holder.account_id, holder.identifier_type, holder.identifier_value
        )

    async def _open_review(
        self, tx: Transaction, entry: LifeEventEntry, decision: NoticeDecision
    ) -> None:
        reason = decision.reason or ""
        review_id = await self._life_events.open_review(tx, entry.id, reason, entry.account_id)
        tx.emit(ReviewOpened(**notice_fields(tx, entry), review_id=review_id, reason=reason))


def notice_fields(tx: Transaction, entry: LifeEventEntry) -> dict[str, Any]:
    """Return the fields that all audit events about *entry* have in common."""
    return {
        "notice_id": entry.id,
        "account_id": entry.account_id,
        "identifier_type": entry.identifier_type,
        "identifier_digest": entry.identifier_digest,
        "occurred_at": entry.occurred_at,
        "timestamp": tx.now,
    }
