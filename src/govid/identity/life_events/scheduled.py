"""Applies scheduled notices when their effective time has come."""

import logging

import msgspec

from govid.bus import (
    DATABASE_UNAVAILABLE,
    Actor,
    OperationContext,
    PeriodicWorker,
    Transaction,
    UnitOfWork,
    uuid7,
)
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_events.death_notices import DEATH_NOTICE_SUBSCRIBER
from govid.identity.life_events.decision import decide
from govid.identity.life_events.service import AccountStatusService
from govid.identity.repository.account_status import AccountHolder, AccountStatusRepository
from govid.identity.repository.life_events import (
    LifeEventEntry,
    LifeEventRepository,
    Notice,
    NoticeOutcome,
)

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
BATCH_SIZE = 100


class ScheduledNotices:
    """Decides again about each scheduled notice when its effective time has come."""

    def __init__(
        self,
        uow: UnitOfWork,
        account_status: AccountStatusRepository,
        life_events: LifeEventRepository,
        status_service: AccountStatusService,
        digests: IdentifierDigests,
    ) -> None:
        """Read the notices from *life_events* and lock their accounts through *account_status*."""
        self._uow = uow
        self._account_status = account_status
        self._life_events = life_events
        self._status_service = status_service
        self._digests = digests

    async def run(self) -> None:
        """Apply due notices every `POLL_SECONDS`. All replicas run; each notice is applied once."""
        await PeriodicWorker(
            self.apply_due, POLL_SECONDS, failure_event="notices.not_looked_at"
        ).run()

    async def apply_due(self) -> None:
        """Apply due notices; one that fails stays scheduled and does not prevent the others."""
        async with self._uow.begin(_build_context(None)) as tx:
            due = await self._life_events.fetch_due(tx, limit=BATCH_SIZE)
        for entry in due:
            try:
                async with self._uow.begin(_build_context(entry)) as tx:
                    await self._apply(tx, entry)
            except DATABASE_UNAVAILABLE as error:
                log.warning(
                    "notices.not_settled",
                    extra={"notice_id": str(entry.id), "error_class": type(error).__name__},
                )

    async def _apply(self, tx: Transaction, due_entry: LifeEventEntry) -> None:
        if due_entry.identifier_digest is None:
            return
        # Every decision about the identifier locks all its digests, including this one.
        now = await self._life_events.lock_digest(tx, due_entry.identifier_digest)
        # Read again under the lock: another replica may have applied the notice, or a registration
        # may have claimed the identifier.
        entry = await self._life_events.find_scheduled(tx, due_entry.id)
        if entry is None or entry.occurred_at is None:
            return
        holder = await self._lock_holder(tx, entry)
        notice = Notice(id=entry.id, kind=entry.kind, occurred_at=entry.occurred_at)
        decision = decide(notice, now=now, holder=holder)
        applied = msgspec.structs.replace(
            entry,
            outcome=decision.outcome,
            account_id=None if decision.outcome is NoticeOutcome.UNCLAIMED else entry.account_id,
        )
        await self._life_events.record_outcome(tx, applied)
        await self._status_service.apply_decision(tx, applied, decision, holder)

    async def _lock_holder(self, tx: Transaction, entry: LifeEventEntry) -> AccountHolder | None:
        """Lock the account of the notice if it still has that identifier."""
        if entry.account_id is None:
            return None
        holder = await self._account_status.lock_account(tx, entry.account_id)
        if holder is None or holder.identifier_type is None or holder.identifier_value is None:
            return None
        digest = self._digests.for_identifier(holder.identifier_type, holder.identifier_value)
        return holder if entry.identifier_digest in (digest.current, *digest.older) else None


def _build_context(entry: LifeEventEntry | None) -> OperationContext:
    return OperationContext(
        correlation_id=str(uuid7()),
        actor=Actor(kind="module", id=DEATH_NOTICE_SUBSCRIBER),
        causation_id=None if entry is None else entry.id,
    )
