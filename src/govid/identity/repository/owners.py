"""Accounts as their owners change them: passwords, addresses, and closing for good."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, case, false, func, select, update
from sqlalchemy.exc import IntegrityError

from govid.bus import Transaction
from govid.bus.shared.account_status import AccountStatus
from govid.bus.shared.mailboxes import of_mailbox, stored_keys
from govid.identity.errors import EmailTaken
from govid.identity.models import Account


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """An account that has a password and an address, as its owner may change it."""

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
        return f"<Owner {self.id}>"


_COLUMNS = (
    Account.id,
    Account.email,
    Account.email_canonical,
    Account.email_confirmed_at,
    Account.identifier_type,
    Account.identifier_value,
    Account.password_hash,
    Account.status,
)


class Owners:
    """The accounts that have a password and an address."""

    async def find(self, tx: Transaction, account_id: UUID) -> Owner | None:
        """Return the account as it is, without a lock."""
        return await _one(tx, _all().where(Account.id == account_id))

    async def with_address(self, tx: Transaction, email_canonical: str) -> Owner | None:
        """Return the account that has this address, without a lock."""
        statement = _all().where(Account.email_canonical.in_(stored_keys(email_canonical)))
        rows = (await tx.execute(statement)).mappings().all()
        found: Any = next(iter(of_mailbox(rows, email_canonical)), None)
        return None if found is None else Owner(**found)

    async def lock(self, tx: Transaction, account_id: UUID, *, write: bool) -> Owner | None:
        """Lock the account, against everybody with *write*, else against those who change it."""
        statement = _all().where(Account.id == account_id)
        return await _one(tx, statement.with_for_update(read=not write, key_share=write))

    async def set_password(self, tx: Transaction, account_id: UUID, password_hash: str) -> None:
        """Give the account another password; no session from before is good any more."""
        await self._set(
            tx,
            account_id,
            password_hash=password_hash,
            tokens_valid_after=func.clock_timestamp(),
        )

    async def confirm_email(self, tx: Transaction, account_id: UUID) -> None:
        """Remember that the address reaches the owner."""
        await self._set(tx, account_id, email_confirmed_at=tx.now)

    async def set_email(
        self, tx: Transaction, account_id: UUID, email: str, email_canonical: str
    ) -> None:
        """Give the account another address, which its owner has confirmed.

        Raises:
            EmailTaken: another account with a password has it by now.
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
            # From None: the driver's text quotes the address (I9). It is the only rule that a
            # well-formed address can break.
            raise EmailTaken from None

    async def close(self, tx: Transaction, account_id: UUID) -> None:
        """Erase what is personal. A verified identifier stays for a time, held against others.

        One that was never proved is erased at once: its owner would be refused, and could not tell
        by whom.
        """
        proved = Account.status == AccountStatus.VERIFIED
        await self._set(
            tx,
            account_id,
            identifier_type=case((proved, Account.identifier_type)),
            identifier_value=case((proved, Account.identifier_value)),
            is_identifier_shared=case((proved, Account.is_identifier_shared), else_=false()),
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


def _all() -> Select[Any]:
    columns: tuple[Any, ...] = _COLUMNS
    return select(*columns).where(Account.password_hash.is_not(None))


async def _one(tx: Transaction, statement: Select[Any]) -> Owner | None:
    row = (await tx.execute(statement)).mappings().first()
    return None if row is None else Owner(**row)
