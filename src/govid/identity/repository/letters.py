"""Where mails wait until they have left: to whom, and nothing of what they say."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import delete, insert, select

from govid.bus import Transaction, uuid7
from govid.identity import models


class LetterKind(StrEnum):
    """What a mail is about."""

    RESET = "reset"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of mail
    EMAIL_CONFIRMATION = "email_confirmation"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGE_REQUESTED = "email_change_requested"
    EMAIL_CHANGED = "email_changed"
    ACCOUNT_CLOSED = "account_closed"


WITH_LINKS = (LetterKind.RESET, LetterKind.EMAIL_CONFIRMATION, LetterKind.EMAIL_CHANGE)
"""Letters that open something for whoever reads them."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that has not left yet. Without an account and an address it goes to nobody."""

    id: UUID
    account_id: UUID | None
    kind: LetterKind
    address: str | None
    written_at: datetime

    def __repr__(self) -> str:
        """Name the letter only (I9)."""
        return f"<Letter {self.id}>"


class Letters:
    """The mails that have not left yet."""

    async def add(
        self, tx: Transaction, kind: LetterKind, account_id: UUID | None, address: str | None
    ) -> UUID:
        """Keep a letter until it has left; return its id."""
        letter_id = uuid7()
        await tx.execute(
            insert(models.Letter).values(
                id=letter_id,
                account_id=account_id,
                kind=kind,
                address=address,
                written_at=tx.now,
            )
        )
        return letter_id

    async def find(self, tx: Transaction, letter_id: UUID) -> Letter | None:
        """Return the letter, unless it has left or was taken back."""
        row = models.Letter
        statement = select(row.id, row.account_id, row.kind, row.address, row.written_at).where(
            row.id == letter_id
        )
        found = (await tx.execute(statement)).mappings().first()
        return None if found is None else Letter(**{**found, "kind": LetterKind(found["kind"])})

    async def remove(self, tx: Transaction, letter_id: UUID) -> None:
        """Forget a letter that has left."""
        await tx.execute(delete(models.Letter).where(models.Letter.id == letter_id))

    async def take_back(self, tx: Transaction, account_id: UUID) -> None:
        """Take back the letters of the account that would leave with a link.

        *tx* holds the account's lock. To revoke links goes with this: a letter has none before it
        leaves, and may wait for long.
        """
        await tx.execute(
            delete(models.Letter).where(
                models.Letter.account_id == account_id, models.Letter.kind.in_(WITH_LINKS)
            )
        )
