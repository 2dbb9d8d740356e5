"""Reads and writes accounts: login credentials, passwords, addresses, identifier claims."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, case, false, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from govid.bus import Transaction
from govid.bus.events import IdentifierType
from govid.bus.shared.contract import UNVERIFIED, AccountStatus
from govid.bus.shared.email_addresses import filter_mailbox_rows, mailbox_key_variants
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.errors import EmailTaken, IdentifierTaken
from govid.identity.models import Account
from govid.identity.repository.reviews import IDENTIFIER_SHARED
from govid.identity.schemas import UserView


class LoginCredentials(RedactedStruct, frozen=True, kw_only=True):
    """The stored credentials that a login is checked against."""

    account_id: UUID
    password_hash: str
    status: str

    repr_members: ClassVar[tuple[str, ...]] = ("account_id",)


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
        columns = msgspec.structs.asdict(view)
        # The database computes it.
        del columns["assurance"]
        row = {
            **columns,
            "email_canonical": email_canonical,
            "password_hash": password_hash,
        }
        if len(mailbox_key_variants(email_canonical)) > 1 and await self.find_credentials(
            tx, email_canonical
        ):
            # The unique index does not treat the key of an earlier release as the same mailbox.
            raise EmailTaken
        try:
            await tx.execute(insert(Account).values(row))
        except IntegrityError as error:
            # Without the cause, because the driver's message quotes the values (I9).
            match _violated_constraint(error):
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
                Account.email_canonical.in_(mailbox_key_variants(email_canonical)),
                Account.password_hash.is_not(None),
            )
        )
        rows = (await tx.execute(statement)).mappings().all()
        return _credentials(next(iter(filter_mailbox_rows(rows, email_canonical)), None))

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


def _violated_constraint(error: IntegrityError) -> str | None:
    """Return the name of the violated constraint from asyncpg's error."""
    return getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)


class PasswordAccount(RedactedStruct, frozen=True, kw_only=True):
    """An account with a password and an address, which its holder may change."""

    id: UUID
    email: str
    email_canonical: str
    email_confirmed_at: datetime | None
    identifier_type: str | None
    identifier_value: str | None
    password_hash: str
    status: str

    repr_members: ClassVar[tuple[str, ...]] = ("id",)


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
            Account.email_canonical.in_(mailbox_key_variants(email_canonical))
        )
        rows = (await tx.execute(statement)).mappings().all()
        row: Any = next(iter(filter_mailbox_rows(rows, email_canonical)), None)
        return None if row is None else PasswordAccount(**row)

    async def lock(
        self, tx: Transaction, account_id: UUID, *, write: bool
    ) -> PasswordAccount | None:
        """Lock the account: exclusively with *write*, otherwise against changes only."""
        statement = _select_accounts().where(Account.id == account_id)
        return await _fetch_one(tx, statement.with_for_update(read=not write, key_share=write))

    async def set_password(self, tx: Transaction, account_id: UUID, password_hash: str) -> None:
        """Set the password hash and invalidate all tokens issued before."""
        await self._update(
            tx,
            account_id,
            password_hash=password_hash,
            tokens_valid_after=func.clock_timestamp(),
        )

    async def confirm_email(self, tx: Transaction, account_id: UUID) -> None:
        """Record that the account holder has confirmed the address."""
        await self._update(tx, account_id, email_confirmed_at=tx.now)

    async def set_email(
        self, tx: Transaction, account_id: UUID, email: str, email_canonical: str
    ) -> None:
        """Set another address, which the account holder has confirmed.

        Raises:
            EmailTaken: another account with a password has this address meanwhile.
        """
        try:
            await self._update(
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
        await self._update(
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

    async def _update(self, tx: Transaction, account_id: UUID, **columns: Any) -> None:
        await tx.execute(
            update(Account).where(Account.id == account_id).values(**columns, updated_at=tx.now)
        )


def _select_accounts() -> Select[Any]:
    columns: tuple[Any, ...] = _PASSWORD_ACCOUNT_COLUMNS
    return select(*columns).where(Account.password_hash.is_not(None))


async def _fetch_one(tx: Transaction, statement: Select[Any]) -> PasswordAccount | None:
    row = (await tx.execute(statement)).mappings().first()
    return None if row is None else PasswordAccount(**row)


class ReleasedIdentifier(msgspec.Struct, frozen=True, kw_only=True):
    """The account whose identifier was released, and the type of the identifier."""

    account_id: UUID
    identifier_type: IdentifierType


class IdentifierClaimRepository:
    """Releases identifiers: after expiry, by a command or after closure."""

    async def release_unverified(
        self, tx: Transaction, *, days: int, limit: int
    ) -> Sequence[ReleasedIdentifier]:
        """Release the identifier of at most *limit* accounts not verified within *days*.

        A blocked account keeps its identifier, because its holder may be dead.
        """
        overdue = (Account.status.in_(UNVERIFIED), Account.created_at < _days_ago(days))
        return await self._release(tx, overdue, limit, status=AccountStatus.REGISTERED)

    async def release_for_account(
        self, tx: Transaction, account_id: UUID, status: AccountStatus
    ) -> ReleasedIdentifier | None:
        """Release the identifier of an account that is locked and has this *status*."""
        conditions = (
            Account.id == account_id,
            Account.status == status,
            Account.identifier_value.is_not(None),
        )
        status_after = status if status is AccountStatus.CLOSED else AccountStatus.REGISTERED
        return next(iter(await self._release(tx, conditions, 1, status=status_after)), None)

    async def release_closed(
        self, tx: Transaction, *, days: int, limit: int
    ) -> Sequence[ReleasedIdentifier]:
        """Release the identifier of at most *limit* accounts that were closed *days* ago."""
        overdue = (
            Account.status == AccountStatus.CLOSED,
            Account.identifier_value.is_not(None),
            Account.closed_at < _days_ago(days),
        )
        return await self._release(tx, overdue, limit, status=AccountStatus.CLOSED)

    async def _release(
        self,
        tx: Transaction,
        conditions: Sequence[ColumnElement[bool]],
        limit: int,
        *,
        status: AccountStatus,
    ) -> Sequence[ReleasedIdentifier]:
        # An account that is being verified, blocked or changed is locked; the next run takes it.
        chosen = (
            select(Account.id, Account.identifier_type)
            .where(*conditions)
            .limit(limit)
            .with_for_update(key_share=True, skip_locked=True)
            .cte("chosen")
        )
        result = await tx.execute(
            update(Account)
            .where(Account.id == chosen.c.id)
            .values(
                status=status,
                identifier_type=None,
                identifier_value=None,
                is_identifier_shared=False,
                evidence_strength=0,
                evidence_validity=0,
                contra_indicators=func.array_remove(Account.contra_indicators, IDENTIFIER_SHARED),
                updated_at=tx.now,
            )
            .returning(Account.id, chosen.c.identifier_type)
        )
        return [
            ReleasedIdentifier(
                account_id=row.id, identifier_type=IdentifierType(row.identifier_type)
            )
            for row in result
        ]


def _days_ago(days: int) -> ColumnElement[object]:
    # `statement_timestamp()`, because the planner cannot use an index with `clock_timestamp()`.
    return func.statement_timestamp() - func.make_interval(0, 0, 0, literal(days))
