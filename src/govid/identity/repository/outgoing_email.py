"""Stores outgoing e-mails until they are sent: recipient and kind, but not the text."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from sqlalchemy import delete, insert, select

from govid.bus import Transaction, uuid7
from govid.bus.shared.privacy import RedactedStruct
from govid.identity import models


class EmailKind(StrEnum):
    """The subject matter of an e-mail."""

    RESET = "reset"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of e-mail
    EMAIL_CONFIRMATION = "email_confirmation"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGE_REQUESTED = "email_change_requested"
    EMAIL_CHANGED = "email_changed"
    ACCOUNT_CLOSED = "account_closed"


KINDS_WITH_LINKS = (EmailKind.RESET, EmailKind.EMAIL_CONFIRMATION, EmailKind.EMAIL_CHANGE)
"""The kinds of e-mail that hold a one-time token."""


class OutgoingEmail(RedactedStruct, frozen=True, kw_only=True):
    """An unsent e-mail. Without an account and an address it is never sent."""

    id: UUID
    account_id: UUID | None
    kind: EmailKind
    address: str | None
    written_at: datetime

    repr_members: ClassVar[tuple[str, ...]] = ("id",)


class OutgoingEmailRepository:
    """Reads and writes unsent e-mails."""

    async def insert(
        self, tx: Transaction, kind: EmailKind, account_id: UUID | None, address: str | None
    ) -> UUID:
        """Store an e-mail until it is sent; return its id."""
        email_id = uuid7()
        await tx.execute(
            insert(models.StoredEmail).values(
                id=email_id,
                account_id=account_id,
                kind=kind,
                address=address,
                written_at=tx.now,
            )
        )
        return email_id

    async def find(self, tx: Transaction, email_id: UUID) -> OutgoingEmail | None:
        """Return the e-mail, or None if it was sent or withdrawn."""
        email = models.StoredEmail
        statement = select(
            email.id, email.account_id, email.kind, email.address, email.written_at
        ).where(email.id == email_id)
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else OutgoingEmail(**{**row, "kind": EmailKind(row["kind"])})

    async def delete(self, tx: Transaction, email_id: UUID) -> None:
        """Delete an e-mail that was sent."""
        await tx.execute(delete(models.StoredEmail).where(models.StoredEmail.id == email_id))

    async def delete_with_links(self, tx: Transaction, account_id: UUID) -> None:
        """Delete the unsent e-mails of the account that would be sent with a one-time token.

        The caller must hold the account's row lock in *tx*. It is needed beside the revocation of
        tokens, because an unsent e-mail has no token yet and may wait for a long time.
        """
        await tx.execute(
            delete(models.StoredEmail).where(
                models.StoredEmail.account_id == account_id,
                models.StoredEmail.kind.in_(KINDS_WITH_LINKS),
            )
        )
