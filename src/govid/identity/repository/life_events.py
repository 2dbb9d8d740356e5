"""Where the history of accounts is read and written: every notice, every act, and what came of it.

A row names no identifier, only a keyed digest of it: a notice for nobody is a fact about somebody
who never asked to be known here.
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
from govid.bus.contracts import IdentifierType
from govid.identity.life_event_kinds import Kind
from govid.identity.models import Account, LifeEvent, ReviewItem
from govid.identity.repository.digest_rows import (
    IdentifierDigest,
    lock_key,
    rewrite_history,
    take_locks,
)


class Outcome(StrEnum):
    """What came of it. Only `PARKED` is not the end of it."""

    APPLIED = "applied"
    WITHOUT_EFFECT = "without_effect"
    IGNORED_STALE = "ignored_stale"
    PARKED = "parked"
    UNCLAIMED = "unclaimed"
    REVIEW = "review"
    ILLEGAL = "illegal"


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says that happened. `id` is that of the notice's event, or of the act.

    `named` is the account that a notice itself names, beside its identifier.
    """

    id: UUID
    kind: Kind
    identifier_type: IdentifierType | None = None
    identifier_digest: str | None = None
    occurred_at: datetime
    named: UUID | None = None
    operator: str | None = None
    stated_reason: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history: what was said, and what came of it."""

    id: UUID
    kind: Kind
    identifier_type: IdentifierType | None = None
    identifier_digest: str | None = None
    account_id: UUID | None = None
    occurred_at: datetime | None
    outcome: Outcome
    operator: str | None = None
    stated_reason: str | None = None


_ENTRY = tuple(getattr(LifeEvent, name) for name in Entry.__struct_fields__)
_TELLING = (Outcome.APPLIED, Outcome.WITHOUT_EFFECT, Outcome.UNCLAIMED, Outcome.PARKED)
"""What counts when somebody registers with an identifier that has a history."""
_SAID = (Outcome.APPLIED, Outcome.WITHOUT_EFFECT, Outcome.IGNORED_STALE)
"""What was said of an account, whether or not it changed anything."""


class LifeEvents:
    """The history."""

    def __init__(self, key_id: str | None = None) -> None:
        """Note *key_id* beside digests that are written: the key that they were made with."""
        self._key_id = key_id

    async def lock_identifier(self, tx: Transaction, digest: IdentifierDigest) -> datetime:
        """Exclude other decisions about this identifier until *tx* ends; return the time.

        A notice looks for a holder, a registration for a notice. Without this, two that commit at
        one moment would each find nothing. Rows under an older digest get the current one.
        """
        now = await take_locks(tx, digest.lock_keys)
        await rewrite_history(tx, digest, self._key_id)
        return now

    async def lock_stored(self, tx: Transaction, digest: str) -> datetime:
        """Exclude other decisions about the identifier of a stored *digest*; return the time."""
        return await take_locks(tx, [lock_key(digest)])

    async def add(self, tx: Transaction, entry: Entry) -> bool:
        """Write a line; return whether it is new, as one that was written is never done again."""
        settled = None if entry.outcome is Outcome.PARKED else func.clock_timestamp()
        statement = (
            upsert(LifeEvent)
            .values(
                **msgspec.structs.asdict(entry),
                identifier_key_id=self._key_id if entry.identifier_digest else None,
                settled_at=settled,
            )
            .on_conflict_do_nothing(index_elements=[LifeEvent.id])
            .returning(LifeEvent.id)
        )
        return (await tx.execute(statement)).first() is not None

    async def due(self, tx: Transaction, *, limit: int) -> Sequence[Entry]:
        """Return parked notices whose time has come, in the order of those times."""
        statement = (
            select(*_ENTRY)
            .where(
                LifeEvent.outcome == Outcome.PARKED,
                LifeEvent.occurred_at <= func.clock_timestamp(),
            )
            .order_by(LifeEvent.occurred_at)
            .limit(limit)
        )
        return _entries(await tx.execute(statement))

    async def parked(self, tx: Transaction, event_id: UUID) -> Entry | None:
        """Return the notice, if it is parked still."""
        statement = select(*_ENTRY).where(
            LifeEvent.id == event_id, LifeEvent.outcome == Outcome.PARKED
        )
        return next(iter(_entries(await tx.execute(statement))), None)

    async def settle(self, tx: Transaction, entry: Entry) -> None:
        """Write what came of a parked notice."""
        await tx.execute(
            update(LifeEvent)
            .where(LifeEvent.id == entry.id, LifeEvent.outcome == Outcome.PARKED)
            .values(
                outcome=entry.outcome,
                account_id=entry.account_id,
                settled_at=func.clock_timestamp(),
            )
        )

    async def about(self, tx: Transaction, digest: str) -> Sequence[Entry]:
        """Return what was settled about this identifier, or waits for its time; newest first."""
        statement = (
            select(*_ENTRY)
            .where(LifeEvent.identifier_digest == digest, LifeEvent.outcome.in_(_TELLING))
            .order_by(LifeEvent.occurred_at.desc())
        )
        return _entries(await tx.execute(statement))

    async def hand_over(self, tx: Transaction, digest: str, account_id: UUID) -> None:
        """Let what is parked for this identifier be about the account that has just claimed it.

        A notice about another account that still holds the identifier stays about that one.
        """
        shared = select(Account.id).where(
            Account.id == LifeEvent.account_id, Account.is_identifier_shared
        )
        await tx.execute(
            update(LifeEvent)
            .where(
                LifeEvent.identifier_digest == digest,
                LifeEvent.outcome == Outcome.PARKED,
                ~shared.exists(),
            )
            .values(account_id=account_id)
        )

    async def of(self, tx: Transaction, account_id: UUID) -> Sequence[Entry]:
        """Return the account's history in the order in which it happened."""
        statement = (
            select(*_ENTRY)
            .where(LifeEvent.account_id == account_id)
            .order_by(LifeEvent.occurred_at, LifeEvent.id)
        )
        return _entries(await tx.execute(statement))

    async def death_stands(self, tx: Transaction, account_id: UUID) -> bool:
        """Tell whether a death was said of the account, and nobody has taken that back since.

        Also one that found the account blocked already, and so had no effect of its own, or that
        was older than this block.
        """
        later = aliased(LifeEvent)
        taken_back = (
            select(later.id)
            .where(
                later.account_id == account_id,
                later.kind == Kind.RESTORE,
                later.outcome == Outcome.APPLIED,
                later.occurred_at > LifeEvent.occurred_at,
            )
            .exists()
        )
        said = select(LifeEvent.id).where(
            LifeEvent.account_id == account_id,
            LifeEvent.kind == Kind.DEATH,
            LifeEvent.outcome.in_(_SAID),
            ~taken_back,
        )
        found: bool = (await tx.execute(select(said.exists()))).scalar_one()
        return found

    async def open_review(
        self, tx: Transaction, event_id: UUID, reason: str, account_id: UUID | None
    ) -> UUID:
        """Let a person look at this; return the review's id."""
        review_id = uuid7()
        await tx.execute(
            insert(ReviewItem).values(
                id=review_id, reason=reason, life_event_id=event_id, account_id=account_id
            )
        )
        return review_id

    async def open_review_of(self, tx: Transaction, account_id: UUID, reason: str) -> UUID | None:
        """Let a person look at a holder of whom there is no notice, unless one does already."""
        statement = (
            upsert(ReviewItem)
            .values(id=uuid7(), reason=reason, life_event_id=None, account_id=account_id)
            .on_conflict_do_nothing()
            .returning(ReviewItem.id)
        )
        return (await tx.execute(statement)).scalars().first()


def _entries(rows: CursorResult[Any]) -> Sequence[Entry]:
    return [msgspec.convert(dict(row), Entry) for row in rows.mappings()]
