"""Reads and writes accounts with a password: password, address, closure."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, case, false, func, select, update
from sqlalchemy.exc import IntegrityError

from govid.bus import Transaction
from govid.bus.shared.account_status import AccountStatus
from govid.bus.shared.mailboxes import rows_of_mailbox, stored_keys
from govid.identity.errors import EmailTaken
from govid.identity.models import Account


class PasswordAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account with a password and an address, which its holder may change."""

    id: UUID
    email: str
    email_canonical: str
    email_confirmed_at: datetime | None
    identifier_type: str | None
    identifier_value: str | None
    password_hash: str
    status: str

    def __repr__(self) -> str:
        """Name the account only (I9)."""
        return f"<PasswordAccount {self.id}>"


_PASSWORD_ACCOUNT_COLUMNS = (
    Account.id,
    Account.email,
    Account.email_canonical,
    Account.email_confirmed_at,
    Account.identifier_type,
    Account.identifier_value,
    Account.password_hash,
    Account.status,
)


class PasswordAccountRepository:
    """Reads, locks and changes accounts that have a password and an address."""

    async def find(self, tx: Transaction, account_id: UUID) -> PasswordAccount | None:
        """Return the account without a lock."""
        return await _fetch_one(tx, _select_accounts().where(Account.id == account_id))

    async def find_by_email(self, tx: Transaction, email_canonical: str) -> PasswordAccount | None:
        """Return the account with this address, without a lock."""
        statement = _select_accounts().where(
            Account.email_canonical.in_(stored_keys(email_canonical))
        )
        rows = (await tx.execute(statement)).mappings().all()
        found: Any = next(iter(rows_of_mailbox(rows, email_canonical)), None)
        return None if found is None else PasswordAccount(**found)

    async def lock(
        self, tx: Transaction, account_id: UUID, *, write: bool
    ) -> PasswordAccount | None:
        """Lock the account: exclusively with *write*, otherwise against changes only."""
        statement = _select_accounts().where(Account.id == account_id)
        return await _fetch_one(tx, statement.with_for_update(read=not write, key_share=write))

    async def set_password(self, tx: Transaction, account_id: UUID, password_hash: str) -> None:
        """Set the password hash and invalidate all tokens issued before."""
        await self._set(
            tx,
            account_id,
            password_hash=password_hash,
            tokens_valid_after=func.clock_timestamp(),
        )

    async def confirm_email(self, tx: Transaction, account_id: UUID) -> None:
        """Record that the account holder has confirmed the address."""
        await self._set(tx, account_id, email_confirmed_at=tx.now)

    async def set_email(
        self, tx: Transaction, account_id: UUID, email: str, email_canonical: str
    ) -> None:
        """Set another address, which the account holder has confirmed.

        Raises:
            EmailTaken: another account with a password has this address meanwhile.
        """
        try:
            await self._set(
                tx,
                account_id,
                email=email,
                email_canonical=email_canonical,
                email_confirmed_at=tx.now,
            )
        except IntegrityError:
            # Without the cause, because the driver's message quotes the address (I9). The unique
            # index is the only constraint that a well-formed address can violate.
            raise EmailTaken from None

    async def close(self, tx: Transaction, account_id: UUID) -> None:
        """Erase the personal data; a verified identifier is kept for a time and cannot be claimed.

        An unverified identifier is erased at once. Otherwise the person it belongs to could not
        register, and could not find out why.
        """
        verified = Account.status == AccountStatus.VERIFIED
        await self._set(
            tx,
            account_id,
            identifier_type=case((verified, Account.identifier_type)),
            identifier_value=case((verified, Account.identifier_value)),
            is_identifier_shared=case((verified, Account.is_identifier_shared), else_=false()),
            email=None,
            email_canonical=None,
            email_confirmed_at=None,
            phone_number=None,
            password_hash=None,
            status=AccountStatus.CLOSED,
            closed_at=tx.now,
            tokens_valid_after=func.clock_timestamp(),
        )

    async def _set(self, tx: Transaction, account_id: UUID, **columns: Any) -> None:
        await tx.execute(
            update(Account).where(Account.id == account_id).values(**columns, updated_at=tx.now)
        )


def _select_accounts() -> Select[Any]:
    columns: tuple[Any, ...] = _PASSWORD_ACCOUNT_COLUMNS
    return select(*columns).where(Account.password_hash.is_not(None))


async def _fetch_one(tx: Transaction, statement: Select[Any]) -> PasswordAccount | None:
    row = (await tx.execute(statement)).mappings().first()
    return None if row is None else PasswordAccount(**row)
