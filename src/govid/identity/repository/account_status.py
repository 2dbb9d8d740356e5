"""Reads and writes the status of accounts: lock, block, restore, lookup by identifier."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, case, delete, func, select, update

from govid.bus import Database, Transaction
from govid.bus.events import IdentifierType
from govid.bus.shared.contract import AccountStatus
from govid.bus.shared.email_addresses import filter_mailbox_rows, mailbox_key_variants
from govid.bus.shared.identifiers import identity_key, values_with_key
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.models import (
    Account,
    OneTimeToken,
    RefreshToken,
    ReviewItem,
    Session,
    StoredEmail,
)
from govid.identity.repository.outgoing_email import KINDS_WITH_LINKS


def identifier_conditions(
    identifier_type: IdentifierType, identity_key: str
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that select the accounts with this identifier.

    The possible values are listed, so that the index on whole identifiers can be used.
    """
    return (
        Account.identifier_type == identifier_type,
        Account.identifier_value.in_(values_with_key(identifier_type, identity_key)),
    )


class AccountHolder(RedactedStruct, frozen=True, kw_only=True):
    """A locked account with the data that decides its status.

    `life_event_at` is the time of the last life event that changed or confirmed the status,
    `read_at` is the time of the database.
    """

    account_id: UUID
    status: AccountStatus
    status_before: AccountStatus | None
    identifier_type: IdentifierType | None
    identifier_value: str | None
    life_event_at: datetime | None
    read_at: datetime

    repr_members: ClassVar[tuple[str, ...]] = ("account_id",)


class AccountStatusView(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an account that an operator may see; nothing in it identifies the person."""

    id: UUID
    status: AccountStatus
    status_before: AccountStatus | None
    identifier_type: str | None
    auth_provider: str
    contra_indicators: Sequence[str]
    created_at: datetime
    tokens_valid_after: datetime | None
    sessions: int
    open_reviews: int


class AccountStatusRepository:
    """Locks accounts and changes their status: block, restore, contra-indicators."""

    async def lock_by_identifier(
        self, tx: Transaction, identifier_type: IdentifierType, identity_key: str
    ) -> Sequence[AccountHolder]:
        """Lock the accounts with this identifier, of any status, and return them.

        The account that owns the identity key comes first. There are others only if they were
        created before different forms of one number had the same key.
        """
        return await self._lock_accounts(tx, *identifier_conditions(identifier_type, identity_key))

    async def lock_account(self, tx: Transaction, account_id: UUID) -> AccountHolder | None:
        """Lock the account and return it, or None if it does not exist."""
        return next(iter(await self._lock_accounts(tx, Account.id == account_id)), None)

    async def _lock_accounts(
        self, tx: Transaction, *conditions: ColumnElement[bool]
    ) -> Sequence[AccountHolder]:
        statement = (
            select(
                Account.id.label("account_id"),
                Account.status,
                Account.status_before,
                Account.identifier_type,
                Account.identifier_value,
                Account.life_event_at,
                func.clock_timestamp().label("read_at"),
            )
            .where(*conditions)
            .order_by(Account.is_identifier_shared, Account.id)
            .with_for_update(key_share=True)
        )
        rows: Any = (await tx.execute(statement)).mappings()
        return [msgspec.convert(dict(row), AccountHolder) for row in rows]

    async def block(self, tx: Transaction, account_id: UUID, occurred_at: datetime) -> None:
        """Block the account and permanently invalidate the tokens of all existing sessions."""
        await tx.execute(
            update(Account)
            .where(
                Account.id == account_id,
                Account.status.not_in((AccountStatus.BLOCKED, AccountStatus.CLOSED)),
            )
            .values(
                status=AccountStatus.BLOCKED,
                status_before=Account.status,
                tokens_valid_after=func.clock_timestamp(),
                life_event_at=occurred_at,
                updated_at=tx.now,
            )
        )

    async def restore(self, tx: Transaction, account_id: UUID, occurred_at: datetime) -> None:
        """Restore the previous status of the account; its revoked sessions stay revoked."""
        await tx.execute(
            update(Account)
            .where(Account.id == account_id, Account.status == AccountStatus.BLOCKED)
            .values(
                status=Account.status_before,
                status_before=None,
                life_event_at=occurred_at,
                updated_at=tx.now,
            )
        )

    async def record_life_event_time(
        self, tx: Transaction, account_id: UUID, occurred_at: datetime
    ) -> None:
        """Record the time of a life event that confirms the present status."""
        await tx.execute(
            update(Account).where(Account.id == account_id).values(life_event_at=occurred_at)
        )

    async def add_contra_indicator(self, tx: Transaction, account_id: UUID, indicator: str) -> None:
        """Add a contra-indicator: a sign that the account holder may not be the claimed person."""
        await tx.execute(
            update(Account)
            .where(Account.id == account_id)
            .values(contra_indicators=func.array_append(Account.contra_indicators, indicator))
        )

    async def fetch_by_email(self, tx: Transaction, email_canonical: str) -> Sequence[UUID]:
        """Return the accounts with this address; those of other issuers may share one."""
        statement = select(Account.id, Account.email, Account.email_canonical).where(
            Account.email_canonical.in_(mailbox_key_variants(email_canonical))
        )
        rows = (await tx.execute(statement)).mappings().all()
        return [row["id"] for row in filter_mailbox_rows(rows, email_canonical)]

    async def fetch_by_identifier(
        self, tx: Transaction, identifier_type: IdentifierType, identity_key: str
    ) -> Sequence[UUID]:
        """Return the accounts with this identifier, the owner of the identity key first."""
        statement = (
            select(Account.id)
            .where(*identifier_conditions(identifier_type, identity_key))
            .order_by(Account.is_identifier_shared, Account.id)
        )
        return (await tx.execute(statement)).scalars().all()

    async def fetch_status(self, tx: Transaction, account_id: UUID) -> AccountStatusView | None:
        """Return the status of the account for an operator, without a lock."""
        live = select(func.count()).where(
            Session.account_id == Account.id,
            Session.revoked_at.is_(None),
            func.least(Session.idle_expires_at, Session.absolute_expires_at)
            > func.clock_timestamp(),
            Session.created_at > Account.tokens_valid_after,
        )
        reviews = select(func.count()).where(
            ReviewItem.account_id == Account.id, ReviewItem.state == "open"
        )
        statement = select(
            Account.id,
            Account.status,
            Account.status_before,
            Account.identifier_type,
            Account.auth_provider,
            Account.contra_indicators,
            Account.created_at,
            # The column is minus infinity until sessions of the account are first invalidated.
            case((func.isfinite(Account.tokens_valid_after), Account.tokens_valid_after)).label(
                "tokens_valid_after"
            ),
            live.scalar_subquery().label("sessions"),
            reviews.scalar_subquery().label("open_reviews"),
        ).where(Account.id == account_id)
        row: Any = (await tx.execute(statement)).mappings().first()
        return None if row is None else msgspec.convert(dict(row), AccountStatusView)

    async def delete_pending_tokens(self, tx: Transaction, account_id: UUID) -> None:
        """Delete refresh tokens, one-time tokens and unsent e-mails that would hold a new one."""
        sessions = select(Session.id).where(Session.account_id == account_id)
        await tx.execute(delete(RefreshToken).where(RefreshToken.session_id.in_(sessions)))
        await tx.execute(delete(OneTimeToken).where(OneTimeToken.account_id == account_id))
        # An e-mail that still waits after the end of the block would otherwise bring a new token.
        await tx.execute(
            delete(StoredEmail).where(
                StoredEmail.account_id == account_id, StoredEmail.kind.in_(KINDS_WITH_LINKS)
            )
        )


# A blocked account keeps its identifier, because its holder may be dead.
_IS_ANOTHER_HOLDER = """
    SELECT EXISTS (
        SELECT FROM identity.account
        WHERE identifier_type = $2 AND identifier_value = ANY ($3) AND id <> $1
          AND 'verified' IN (status, CASE WHEN status = 'blocked' THEN status_before END))
"""


class VerifiedIdentifierReader:
    """Looks up verified accounts by identifier, for departments."""

    def __init__(self, database: Database) -> None:
        """Read from *database*."""
        self._database = database

    async def is_verified_elsewhere(
        self, account_id: UUID, identifier_type: IdentifierType, canonical_value: str
    ) -> bool:
        """Tell whether the identifier was verified for another account than this one."""
        values = values_with_key(identifier_type, identity_key(identifier_type, canonical_value))
        found: bool = await self._database.reads.fetchval(
            _IS_ANOTHER_HOLDER, account_id, identifier_type, list(values)
        )
        return found
