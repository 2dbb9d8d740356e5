"""Handles death notices: blocks the account of a person who has died."""

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
from govid.bus.shared.identifiers import parse_identity_key
from govid.identity.accounts.standing import AccountStatusService, notice_fields
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.repository.digest_rows import IdentifierDigest
from govid.identity.repository.holders import AccountStatusRepository
from govid.identity.repository.life_events import (
    LifeEventEntry,
    LifeEventRepository,
    Notice,
    NoticeOutcome,
)

log = logging.getLogger(__name__)

NOTICE_UNREADABLE = "notice_unreadable"
"""The stored reason of the review."""
DEATH_NOTICE_SUBSCRIBER = "identity.lifecycle"


class DeathNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice of death in canonical form.

    `fault` names the field that cannot be read, so that the notice cannot be matched to an account.
    """

    identifier_type: IdentifierType
    identity_key: str = ""
    digest: IdentifierDigest | None = None
    occurred_at: datetime | None = None
    named_account_id: UUID | None = None
    fault: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Notice>"


class DeathNoticeHandler:
    """Handles notices of death: blocks the account and stores every notice in the history.

    One transaction changes the status, sessions, refresh tokens, one-time tokens and the history,
    and emits all events. A notice without an account is stored for later registrations.
    """

    def __init__(
        self,
        account_status: AccountStatusRepository,
        life_events: LifeEventRepository,
        status_service: AccountStatusService,
        digests: IdentifierDigests,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Find accounts in *account_status* and apply notices through *status_service*.

        Metrics are registered in *registry*.
        """
        self._unreadable = Counter(
            "govid_notices_unreadable",
            "Notices of death whose identifier or time cannot be read; each opens a review.",
            registry=registry or CollectorRegistry(),
        )
        self._account_status = account_status
        self._life_events = life_events
        self._status_service = status_service
        self._digests = digests

    async def prepare(self, delivery: Delivery[DeathNotified]) -> DeathNotice:
        """Return the notice in canonical form.

        Forms that registration no longer accepts are still read, because the account may be older
        than that rule. The last letter of a National Insurance number may be missing or different.
        """
        event = delivery.event
        kind = event.identifier_type
        try:
            key = parse_identity_key(kind, event.identifier_value, prototype_form=True)
        except ValueError:
            return DeathNotice(
                identifier_type=kind, named_account_id=event.user_id, fault="identifier"
            )
        digest = self._digests.for_identifier(kind, key)
        try:
            occurred_at = to_utc(event.timestamp)
        except OverflowError:
            return DeathNotice(
                identifier_type=kind,
                digest=digest,
                named_account_id=event.user_id,
                fault="timestamp",
            )
        return DeathNotice(
            identifier_type=kind,
            identity_key=key,
            digest=digest,
            occurred_at=occurred_at,
            named_account_id=event.user_id,
        )

    async def apply(
        self, tx: Transaction, delivery: Delivery[DeathNotified], outcome: DeathNotice
    ) -> None:
        """Decide about the notice and carry out the decision."""
        death_notice = outcome
        if death_notice.digest is None or death_notice.occurred_at is None:
            await self._refuse(tx, delivery.id, death_notice)
            return
        now = await self._life_events.lock_identifier(tx, death_notice.digest)
        holders = await self._account_status.lock_by_identifier(
            tx, death_notice.identifier_type, death_notice.identity_key
        )
        is_named_holder = death_notice.named_account_id in {holder.account_id for holder in holders}
        notice = Notice(
            id=delivery.id,
            kind=LifeEventKind.DEATH,
            identifier_type=death_notice.identifier_type,
            identifier_digest=death_notice.digest.current,
            occurred_at=death_notice.occurred_at,
            named_account_id=None if is_named_holder else death_notice.named_account_id,
        )
        if not await self._status_service.apply_notice(
            tx, notice, now=now, holder=next(iter(holders), None)
        ):
            return
        for holder in holders[1:]:
            # One history entry per account. Its id is derived, so that redelivery gives the same.
            copy = msgspec.structs.replace(notice, id=uuid5(delivery.id, str(holder.account_id)))
            await self._status_service.apply_notice(tx, copy, now=now, holder=holder)

    async def _refuse(self, tx: Transaction, event_id: UUID, death_notice: DeathNotice) -> None:
        entry = LifeEventEntry(
            id=event_id,
            kind=LifeEventKind.DEATH,
            identifier_type=death_notice.identifier_type,
            identifier_digest=death_notice.digest.current if death_notice.digest else None,
            occurred_at=None,
            outcome=NoticeOutcome.ILLEGAL,
        )
        if not await self._life_events.insert(tx, entry):
            return
        tx.emit(LifeEventReceived(**notice_fields(tx, entry)))
        tx.emit(LifeEventIllegal(**notice_fields(tx, entry), reason=death_notice.fault or ""))
        # A member of staff must find out whom it is about: no account is blocked by a guess.
        named = (
            await self._account_status.lock_account(tx, death_notice.named_account_id)
            if death_notice.named_account_id
            else None
        )
        account_id = named.account_id if named else None
        review_id = await self._life_events.open_review(tx, event_id, NOTICE_UNREADABLE, account_id)
        facts = {**notice_fields(tx, entry), "account_id": account_id}
        tx.emit(ReviewOpened(**facts, review_id=review_id, reason=NOTICE_UNREADABLE))
        tx.after_commit(partial(self._report, event_id, death_notice.fault or ""))

    def _report(self, event_id: UUID, fault: str) -> None:
        self._unreadable.inc()
        log.error("life_event.notice_unreadable", extra={"notice_id": event_id, "fault": fault})


def to_utc(moment: datetime) -> datetime:
    """Return *moment* in UTC; a time without an offset is taken as UTC.

    Raises:
        OverflowError: the time in UTC is outside the range of `datetime`.
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
