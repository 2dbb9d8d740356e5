"""Reads and writes accounts: login credentials, passwords, addresses, identifier claims."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from govid.bus import Transaction
from govid.bus.contracts import IdentifierType
from govid.bus.shared.account_status import AccountStatus
from govid.bus.shared.mailboxes import rows_of_mailbox, stored_keys
from govid.identity.errors import EmailTaken, IdentifierTaken
from govid.identity.models import Account
from govid.identity.schemas import UserView


class LoginCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """The stored credentials that a login is checked against."""

    account_id: UUID
    password_hash: str
    status: str

    def __repr__(self) -> str:
        """Name the account only (I9)."""
        return f"<LoginCredentials {self.account_id}>"


class AccountRepository:
    """Inserts accounts, reads login credentials and records verification results."""

    async def insert(
        self, tx: Transaction, view: UserView, *, email_canonical: str, password_hash: str
    ) -> None:
        """Insert the account that *view* shows.

        Raises:
            EmailTaken: another account with a password has this address.
            IdentifierTaken: another account holds this identifier.
        """
        shown = msgspec.structs.asdict(view)
        # The database computes it.
        del shown["assurance"]
        row = {
            **shown,
            "email_canonical": email_canonical,
            "password_hash": password_hash,
        }
        if len(stored_keys(email_canonical)) > 1 and await self.find_credentials(
            tx, email_canonical
        ):
            # The unique index does not treat the key of an earlier release as the same mailbox.
            raise EmailTaken
        try:
            await tx.execute(insert(Account).values(row))
        except IntegrityError as error:
            # Without the cause, because the driver's message quotes the values (I9).
            match _constraint(error):
                case "account_email_key":
                    raise EmailTaken from None
                case "account_identifier_key" | "account_identity_key":
                    raise IdentifierTaken(view.identifier_type) from None
                case _:
                    raise

    async def find_credentials(
        self, tx: Transaction, email_canonical: str
    ) -> LoginCredentials | None:
        """Return the credentials of the account with this address, or None."""
        statement = (
            select(Account.id, Account.password_hash, Account.status)
            .add_columns(Account.email, Account.email_canonical)
            .where(
                Account.email_canonical.in_(stored_keys(email_canonical)),
                Account.password_hash.is_not(None),
            )
        )
        rows = (await tx.execute(statement)).mappings().all()
        return _credentials(next(iter(rows_of_mailbox(rows, email_canonical)), None))

    async def lock_credentials(
        self, tx: Transaction, account_id: UUID, *, write: bool
    ) -> LoginCredentials | None:
        """Lock the account and return its current credentials.

        With *write*, the lock is exclusive. Two transactions that share a lock and then both write
        would deadlock.
        """
        statement = (
            select(Account.id, Account.password_hash, Account.status)
            .where(Account.id == account_id, Account.password_hash.is_not(None))
            .with_for_update(read=not write, key_share=write)
        )
        return _credentials((await tx.execute(statement)).mappings().first())

    async def replace_hash(self, tx: Transaction, account_id: UUID, *, old: str, new: str) -> None:
        """Replace the password hash *old* by *new*, unless it has changed since it was read."""
        await tx.execute(
            update(Account)
            .where(Account.id == account_id, Account.password_hash == old)
            .values(password_hash=new)
        )

    async def record_verification(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        *,
        status: AccountStatus,
        strength: int = 0,
        validity: int = 0,
    ) -> bool:
        """Set the *status* and evidence scores of a pending account.

        Returns whether a pending account with this identifier type exists.
        """
        result = await tx.execute(
            update(Account)
            .where(
                Account.id == account_id,
                Account.status == AccountStatus.PENDING,
                Account.identifier_type == identifier_type,
            )
            .values(
                status=status,
                evidence_strength=strength,
                evidence_validity=validity,
                updated_at=tx.now,
            )
            .returning(Account.id)
        )
        return result.first() is not None

    async def set_pending(self, tx: Transaction, account_id: UUID) -> None:
        """Set the status of an account from failed back to pending."""
        await tx.execute(
            update(Account)
            .where(Account.id == account_id, Account.status == AccountStatus.FAILED)
            .values(status=AccountStatus.PENDING, updated_at=tx.now)
        )


def _credentials(row: Any) -> LoginCredentials | None:
    if row is None:
        return None
    return LoginCredentials(
        account_id=row["id"], password_hash=row["password_hash"], status=row["status"]
    )


def _constraint(error: IntegrityError) -> str | None:
    """Return the name of the violated constraint from asyncpg's error."""
    return getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
