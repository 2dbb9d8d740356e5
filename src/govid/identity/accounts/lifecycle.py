"""What a notice of death does to an account."""

import logging
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid5

import msgspec
from prometheus_client import CollectorRegistry, Counter

from govid.bus import Delivery, Transaction
from govid.bus.contracts import (
    DeathNotified,
    IdentifierType,
    LifeEventIllegal,
    LifeEventReceived,
    ReviewOpened,
)
from govid.bus.shared.identifiers import read_identity_key
from govid.identity.accounts.standing import Standing, told
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_event_kinds import Kind
from govid.identity.repository.digest_rows import IdentifierDigest
from govid.identity.repository.holders import Holders
from govid.identity.repository.life_events import Entry, LifeEvents, Outcome, Word

log = logging.getLogger(__name__)

NOTICE_UNREADABLE = "notice_unreadable"
"""The reason of the review; permanent."""
SUBSCRIBER = "identity.lifecycle"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice in canonical form. `fault` is what makes one that cannot be about anybody."""

    identifier_type: IdentifierType
    identity_key: str = ""
    digest: IdentifierDigest | None = None
    occurred_at: datetime | None = None
    named: UUID | None = None
    fault: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Notice>"


class Lifecycle:
    """Blocks the account of somebody who has died, and keeps every notice in the history.

    Status, sessions, refresh tokens, links in mails, the history and all events are one commit. A
    notice for nobody is kept for a registration that comes after it.
    """

    def __init__(
        self,
        holders: Holders,
        events: LifeEvents,
        standing: Standing,
        digests: IdentifierDigests,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Look for *holders*, and let *standing* do what is to be done; count on *registry*."""
        self._unreadable = Counter(
            "govid_notices_unreadable",
            "Notices of death whose identifier or time cannot be read; each opens a review.",
            registry=registry or CollectorRegistry(),
        )
        self._holders = holders
        self._events = events
        self._standing = standing
        self._digests = digests

    async def prepare(self, delivery: Delivery[DeathNotified]) -> Notice:
        """Return the notice in canonical form.

        Forms that registration no longer accepts still count: an account may be older than that.
        A National Insurance number may lack its last letter, or have another one.
        """
        said = delivery.event
        kind = said.identifier_type
        try:
            key = read_identity_key(kind, said.identifier_value, prototype_form=True)
        except ValueError:
            return Notice(identifier_type=kind, named=said.user_id, fault="identifier")
        digest = self._digests.for_identifier(kind, key)
        try:
            occurred_at = in_utc(said.timestamp)
        except OverflowError:
            return Notice(
                identifier_type=kind, digest=digest, named=said.user_id, fault="timestamp"
            )
        return Notice(
            identifier_type=kind,
            identity_key=key,
            digest=digest,
            occurred_at=occurred_at,
            named=said.user_id,
        )

    async def apply(
        self, tx: Transaction, delivery: Delivery[DeathNotified], outcome: Notice
    ) -> None:
        """Decide about the notice, and carry that out."""
        notice = outcome
        if notice.digest is None or notice.occurred_at is None:
            await self._refuse(tx, delivery.id, notice)
            return
        now = await self._events.lock_identifier(tx, notice.digest)
        holders = await self._holders.lock_all(tx, notice.identifier_type, notice.identity_key)
        names_a_holder = notice.named in {holder.account_id for holder in holders}
        word = Word(
            id=delivery.id,
            kind=Kind.DEATH,
            identifier_type=notice.identifier_type,
            identifier_digest=notice.digest.current,
            occurred_at=notice.occurred_at,
            named=None if names_a_holder else notice.named,
        )
        if not await self._standing.hear(tx, word, now=now, holder=next(iter(holders), None)):
            return
        for holder in holders[1:]:
            # One line of the history for each account, under an id that a repetition gives again.
            own = msgspec.structs.replace(word, id=uuid5(delivery.id, str(holder.account_id)))
            await self._standing.hear(tx, own, now=now, holder=holder)

    async def _refuse(self, tx: Transaction, event_id: UUID, notice: Notice) -> None:
        entry = Entry(
            id=event_id,
            kind=Kind.DEATH,
            identifier_type=notice.identifier_type,
            identifier_digest=notice.digest.current if notice.digest else None,
            occurred_at=None,
            outcome=Outcome.ILLEGAL,
        )
        if not await self._events.add(tx, entry):
            return
        tx.emit(LifeEventReceived(**told(tx, entry)))
        tx.emit(LifeEventIllegal(**told(tx, entry), reason=notice.fault or ""))
        # Only a person can find out whom it is about; nobody is blocked by a guess.
        named = await self._holders.lock_one(tx, notice.named) if notice.named else None
        account_id = named.account_id if named else None
        review_id = await self._events.open_review(tx, event_id, NOTICE_UNREADABLE, account_id)
        facts = {**told(tx, entry), "account_id": account_id}
        tx.emit(ReviewOpened(**facts, review_id=review_id, reason=NOTICE_UNREADABLE))
        tx.after_commit(partial(self._report, event_id, notice.fault or ""))

    def _report(self, event_id: UUID, fault: str) -> None:
        self._unreadable.inc()
        log.error("life_event.notice_unreadable", extra={"notice_id": event_id, "fault": fault})


def in_utc(moment: datetime) -> datetime:
    """Return *moment* in UTC; one without an offset is in UTC already.

    Raises:
        OverflowError: the calendar has no such moment in UTC.
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
