"""Reads and writes the history of account status: each notice or operator action, and its outcome.

A row holds a keyed digest of the identifier, not the identifier itself: a notice without an account
concerns a person who never registered here.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import CursorResult, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased

from govid.bus import Transaction, uuid7
from govid.bus.events import IdentifierType
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.models import Account, LifeEvent, ReviewItem
from govid.identity.repository.identifier_digests import (
    IdentifierDigest,
    acquire_locks,
    advisory_lock_key,
    rewrite_history,
)


class NoticeOutcome(StrEnum):
    """The outcome of a notice. All are final except `PARKED`."""

    APPLIED = "applied"
    WITHOUT_EFFECT = "without_effect"
    IGNORED_STALE = "ignored_stale"
    PARKED = "parked"
    UNCLAIMED = "unclaimed"
    REVIEW = "review"
    ILLEGAL = "illegal"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice: a reported life event or an operator action, identified by the id of its event.

    `named_account_id` is the account that a notice names beside its identifier, if any.
    """

    id: UUID
    kind: LifeEventKind
    identifier_type: IdentifierType | None = None
    identifier_digest: str | None = None
    occurred_at: datetime
    named_account_id: UUID | None = None
    operator: str | None = None
    stated_reason: str | None = None


class LifeEventEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the history: a notice and its outcome."""

    id: UUID
    kind: LifeEventKind
    identifier_type: IdentifierType | None = None
    identifier_digest: str | None = None
    account_id: UUID | None = None
    occurred_at: datetime | None
    outcome: NoticeOutcome
    operator: str | None = None
    stated_reason: str | None = None


_ENTRY = tuple(getattr(LifeEvent, name) for name in LifeEventEntry.__struct_fields__)
_RELEVANT = (
    NoticeOutcome.APPLIED,
    NoticeOutcome.WITHOUT_EFFECT,
    NoticeOutcome.UNCLAIMED,
    NoticeOutcome.PARKED,
)
"""The outcomes that matter when an account is registered with an identifier with a history."""
_CONCERNING = (NoticeOutcome.APPLIED, NoticeOutcome.WITHOUT_EFFECT, NoticeOutcome.IGNORED_STALE)
"""The outcomes of notices that concerned an account, whether or not its status changed."""


class LifeEventRepository:
    """Reads and writes the status history, and opens review items."""

    def __init__(self, key_id: str | None = None) -> None:
        """Store *key_id*, the id of the key that digests are made with, beside new digests."""
        self._key_id = key_id

    async def lock_identifier(self, tx: Transaction, digest: IdentifierDigest) -> datetime:
        """Lock the identifier until *tx* ends; return the time afterwards.

        A notice looks for an account, a registration looks for a notice. Without the lock, two
        that commit at the same time would each find nothing. Older digests in stored rows are
        rewritten to the current one.
        """
        now = await acquire_locks(tx, digest.lock_keys)
        await rewrite_history(tx, digest, self._key_id)
        return now

    async def lock_digest(self, tx: Transaction, digest: str) -> datetime:
        """Lock the identifier of a stored *digest* until *tx* ends; return the time afterwards."""
        return await acquire_locks(tx, [advisory_lock_key(digest)])

    async def insert(self, tx: Transaction, entry: LifeEventEntry) -> bool:
        """Insert an entry; return whether it is new, because each is processed only once."""
        settled_at = None if entry.outcome is NoticeOutcome.PARKED else func.clock_timestamp()
        statement = (
            upsert(LifeEvent)
            .values(
                **msgspec.structs.asdict(entry),
                identifier_key_id=self._key_id if entry.identifier_digest else None,
                settled_at=settled_at,
            )
            .on_conflict_do_nothing(index_elements=[LifeEvent.id])
            .returning(LifeEvent.id)
        )
        return (await tx.execute(statement)).first() is not None

    async def fetch_due(self, tx: Transaction, *, limit: int) -> Sequence[LifeEventEntry]:
        """Return scheduled notices that are due, the earliest effective time first."""
        statement = (
            select(*_ENTRY)
            .where(
                LifeEvent.outcome == NoticeOutcome.PARKED,
                LifeEvent.occurred_at <= func.clock_timestamp(),
            )
            .order_by(LifeEvent.occurred_at)
            .limit(limit)
        )
        return _to_entries(await tx.execute(statement))

    async def find_scheduled(self, tx: Transaction, event_id: UUID) -> LifeEventEntry | None:
        """Return the scheduled notice, or None if it is no longer scheduled."""
        statement = select(*_ENTRY).where(
            LifeEvent.id == event_id, LifeEvent.outcome == NoticeOutcome.PARKED
        )
        return next(iter(_to_entries(await tx.execute(statement))), None)

    async def record_outcome(self, tx: Transaction, entry: LifeEventEntry) -> None:
        """Record the outcome of a scheduled notice."""
        await tx.execute(
            update(LifeEvent)
            .where(LifeEvent.id == entry.id, LifeEvent.outcome == NoticeOutcome.PARKED)
            .values(
                outcome=entry.outcome,
                account_id=entry.account_id,
                settled_at=func.clock_timestamp(),
            )
        )

    async def fetch_for_identifier(self, tx: Transaction, digest: str) -> Sequence[LifeEventEntry]:
        """Return the relevant entries of this identifier, decided or scheduled; newest first."""
        statement = (
            select(*_ENTRY)
            .where(LifeEvent.identifier_digest == digest, LifeEvent.outcome.in_(_RELEVANT))
            .order_by(LifeEvent.occurred_at.desc())
        )
        return _to_entries(await tx.execute(statement))

    async def assign_scheduled(self, tx: Transaction, digest: str, account_id: UUID) -> None:
        """Assign scheduled notices of this identifier to the account that has just claimed it.

        A notice of another account that still holds the identifier is not reassigned.
        """
        shared = select(Account.id).where(
            Account.id == LifeEvent.account_id, Account.is_identifier_shared
        )
        await tx.execute(
            update(LifeEvent)
            .where(
                LifeEvent.identifier_digest == digest,
                LifeEvent.outcome == NoticeOutcome.PARKED,
                ~shared.exists(),
            )
            .values(account_id=account_id)
        )

    async def fetch_for_account(
        self, tx: Transaction, account_id: UUID
    ) -> Sequence[LifeEventEntry]:
        """Return the entries of the account, the earliest event first."""
        statement = (
            select(*_ENTRY)
            .where(LifeEvent.account_id == account_id)
            .order_by(LifeEvent.occurred_at, LifeEvent.id)
        )
        return _to_entries(await tx.execute(statement))

    async def has_death_notice(self, tx: Transaction, account_id: UUID) -> bool:
        """Tell whether the account has a death notice that no later restore has revoked.

        This includes a notice that had no effect because the account was already blocked, and one
        that is older than the block.
        """
        later = aliased(LifeEvent)
        revoked = (
            select(later.id)
            .where(
                later.account_id == account_id,
                later.kind == LifeEventKind.RESTORE,
                later.outcome == NoticeOutcome.APPLIED,
                later.occurred_at > LifeEvent.occurred_at,
            )
            .exists()
        )
        deaths = select(LifeEvent.id).where(
            LifeEvent.account_id == account_id,
            LifeEvent.kind == LifeEventKind.DEATH,
            LifeEvent.outcome.in_(_CONCERNING),
            ~revoked,
        )
        found: bool = (await tx.execute(select(deaths.exists()))).scalar_one()
        return found

    async def open_review(
        self, tx: Transaction, event_id: UUID, reason: str, account_id: UUID | None
    ) -> UUID:
        """Open a review item for a notice; return its id."""
        review_id = uuid7()
        await tx.execute(
            insert(ReviewItem).values(
                id=review_id, reason=reason, life_event_id=event_id, account_id=account_id
            )
        )
        return review_id

    async def open_account_review(
        self, tx: Transaction, account_id: UUID, reason: str
    ) -> UUID | None:
        """Open a review item for an account without a notice, unless one is already open."""
        statement = (
            upsert(ReviewItem)
            .values(id=uuid7(), reason=reason, life_event_id=None, account_id=account_id)
            .on_conflict_do_nothing()
            .returning(ReviewItem.id)
        )
        return (await tx.execute(statement)).scalars().first()


def _to_entries(rows: CursorResult[Any]) -> Sequence[LifeEventEntry]:
    return [msgspec.convert(dict(row), LifeEventEntry) for row in rows.mappings()]
