"""Handles death notices, and checks new registrations against earlier notices.

A notice blocks the account that has the identifier. A notice without an account stays in the
history, and a later registration with the identifier gets a contra-indicator and a review.
"""

import logging
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid5

import msgspec
from prometheus_client import CollectorRegistry, Counter

from govid.bus import Delivery, Transaction
from govid.bus.events import (
    DeathNotified,
    IdentifierType,
    LifeEventIllegal,
    LifeEventReceived,
    ReviewOpened,
)
from govid.bus.shared.identifiers import parse_identity_key
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.life_events.service import AccountStatusService, notice_fields
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.identifier_digests import IdentifierDigest
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


class DeathNotice(RedactedStruct, frozen=True, kw_only=True):
    """A notice of death in canonical form.

    `unreadable_field` names the field that prevents a match with an account, if there is one.
    """

    identifier_type: IdentifierType
    identity_key: str = ""
    digest: IdentifierDigest | None = None
    occurred_at: datetime | None = None
    named_account_id: UUID | None = None
    unreadable_field: str | None = None


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
            key = parse_identity_key(kind, event.identifier_value, accept_prototype_nhs=True)
        except ValueError:
            return DeathNotice(
                identifier_type=kind, named_account_id=event.user_id, unreadable_field="identifier"
            )
        digest = self._digests.for_identifier(kind, key)
        try:
            occurred_at = to_utc(event.timestamp)
        except OverflowError:
            return DeathNotice(
                identifier_type=kind,
                digest=digest,
                named_account_id=event.user_id,
                unreadable_field="timestamp",
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
            await self._review_unreadable(tx, delivery.id, death_notice)
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

    async def _review_unreadable(
        self, tx: Transaction, event_id: UUID, death_notice: DeathNotice
    ) -> None:
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
        tx.emit(
            LifeEventIllegal(**notice_fields(tx, entry), reason=death_notice.unreadable_field or "")
        )
        # A member of staff must find the account: none is blocked if its holder is not certain.
        named = (
            await self._account_status.lock_account(tx, death_notice.named_account_id)
            if death_notice.named_account_id
            else None
        )
        account_id = named.account_id if named else None
        review_id = await self._life_events.open_review(tx, event_id, NOTICE_UNREADABLE, account_id)
        facts = {**notice_fields(tx, entry), "account_id": account_id}
        tx.emit(ReviewOpened(**facts, review_id=review_id, reason=NOTICE_UNREADABLE))
        tx.after_commit(
            partial(self._log_unreadable, event_id, death_notice.unreadable_field or "")
        )

    def _log_unreadable(self, event_id: UUID, unreadable_field: str) -> None:
        self._unreadable.inc()
        log.error(
            "life_event.notice_unreadable", extra={"notice_id": event_id, "fault": unreadable_field}
        )


def to_utc(moment: datetime) -> datetime:
    """Return *moment* in UTC; a time without an offset is taken as UTC.

    Raises:
        OverflowError: the time in UTC is outside the range of `datetime`.
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


PRIOR_NOTICE_INDICATOR = "notice_before_registration"


class PriorNoticeCheck:
    """Checks each new claim of an identifier against the history of that identifier.

    If a notice of death is in force, either the notice or the identifier may be wrong. The account
    is therefore created and its holder may sign in, but it has a contra-indicator from the start
    and a review is opened.
    """

    def __init__(
        self,
        account_status: AccountStatusRepository,
        life_events: LifeEventRepository,
        digests: IdentifierDigests,
    ) -> None:
        """Set contra-indicators in *account_status* by the history in *life_events*."""
        self._account_status = account_status
        self._life_events = life_events
        self._digests = digests

    async def run(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> bool:
        """Add a contra-indicator to the account if a notice of death is in force; return whether.

        The account has received the identifier in this transaction. A scheduled notice is assigned
        to this account and will block it at its effective time.
        """
        digest = self._digests.for_identifier(identifier_type, canonical_value)
        await self._life_events.lock_identifier(tx, digest)
        history = await self._life_events.fetch_for_identifier(tx, digest.current)
        if any(entry.outcome is NoticeOutcome.PARKED for entry in history):
            await self._life_events.assign_scheduled(tx, digest.current, account_id)
        # A block for another reason does not mean that an earlier holder is dead.
        effective = (
            entry
            for entry in history
            if entry.outcome is not NoticeOutcome.PARKED and entry.kind is not LifeEventKind.BLOCK
        )
        last = next(effective, None)
        if last is None or last.kind is not LifeEventKind.DEATH:
            return False
        await self._account_status.add_contra_indicator(tx, account_id, PRIOR_NOTICE_INDICATOR)
        review_id = await self._life_events.open_review(
            tx, last.id, PRIOR_NOTICE_INDICATOR, account_id
        )
        tx.emit(
            ReviewOpened(
                **{**notice_fields(tx, last), "account_id": account_id},
                review_id=review_id,
                reason=PRIOR_NOTICE_INDICATOR,
            )
        )
        return True
