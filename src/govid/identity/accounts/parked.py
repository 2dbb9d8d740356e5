"""Notices of the future, when their time has come."""

import logging

import msgspec

from govid.bus import (
    DATABASE_UNAVAILABLE,
    Actor,
    Cause,
    PeriodicWorker,
    Transaction,
    UnitOfWork,
    uuid7,
)
from govid.identity.accounts.lifecycle import SUBSCRIBER
from govid.identity.accounts.standing import Standing
from govid.identity.accounts.verdict import judge
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.repository.holders import Holder, Holders
from govid.identity.repository.life_events import Entry, LifeEvents, Outcome, Word

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
BATCH_SIZE = 100


class ParkedNotices:
    """Decides about parked notices once more, when they are no longer of the future."""

    def __init__(
        self,
        uow: UnitOfWork,
        holders: Holders,
        events: LifeEvents,
        standing: Standing,
        digests: IdentifierDigests,
    ) -> None:
        """Find the notices in *events*, their accounts among *holders*."""
        self._uow = uow
        self._holders = holders
        self._events = events
        self._standing = standing
        self._digests = digests

    async def run(self) -> None:
        """Look every few seconds, for ever. Every replica does: each notice is settled once."""
        await PeriodicWorker(
            self.settle_due, POLL_SECONDS, failure_event="notices.not_looked_at"
        ).run()

    async def settle_due(self) -> None:
        """Settle what is due; what fails stays parked and stops no other."""
        async with self._uow.begin(_cause(None)) as tx:
            due = await self._events.due(tx, limit=BATCH_SIZE)
        for entry in due:
            try:
                async with self._uow.begin(_cause(entry)) as tx:
                    await self._settle(tx, entry)
            except DATABASE_UNAVAILABLE as error:
                log.warning(
                    "notices.not_settled",
                    extra={"notice_id": str(entry.id), "error_class": type(error).__name__},
                )

    async def _settle(self, tx: Transaction, seen: Entry) -> None:
        if seen.identifier_digest is None:
            return
        # Decisions about the identifier hold the locks of all its digests, this one among them.
        now = await self._events.lock_stored(tx, seen.identifier_digest)
        # Again: another replica may have been faster, or a registration may have claimed it.
        entry = await self._events.parked(tx, seen.id)
        if entry is None or entry.occurred_at is None:
            return
        holder = await self._holder(tx, entry)
        word = Word(id=entry.id, kind=entry.kind, occurred_at=entry.occurred_at)
        verdict = judge(word, now=now, holder=holder)
        settled = msgspec.structs.replace(
            entry,
            outcome=verdict.outcome,
            account_id=None if verdict.outcome is Outcome.UNCLAIMED else entry.account_id,
        )
        await self._events.settle(tx, settled)
        await self._standing.follow(tx, settled, verdict, holder)

    async def _holder(self, tx: Transaction, entry: Entry) -> Holder | None:
        """Lock the account that the notice was about, if it still holds that identifier."""
        if entry.account_id is None:
            return None
        holder = await self._holders.lock_one(tx, entry.account_id)
        if holder is None or holder.identifier_type is None or holder.identifier_value is None:
            return None
        digest = self._digests.for_identifier(holder.identifier_type, holder.identifier_value)
        return holder if entry.identifier_digest in (digest.current, *digest.older) else None


def _cause(entry: Entry | None) -> Cause:
    return Cause(
        correlation_id=str(uuid7()),
        actor=Actor(kind="module", id=SUBSCRIBER),
        causation_id=None if entry is None else entry.id,
    )
