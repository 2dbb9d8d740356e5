"""Releases the identifiers of accounts, so that another account may claim them."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, literal, select, update

from govid.bus import Transaction
from govid.bus.contracts import IdentifierType
from govid.bus.shared.account_status import UNVERIFIED, AccountStatus
from govid.identity.models import Account
from govid.identity.repository.reviews import IDENTIFIER_SHARED


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
        overdue = (Account.status.in_(UNVERIFIED), Account.created_at < _ago(days))
        return await self._release(tx, overdue, limit, status=AccountStatus.REGISTERED)

    async def release_for_account(
        self, tx: Transaction, account_id: UUID, status: AccountStatus
    ) -> ReleasedIdentifier | None:
        """Release the identifier of an account that is locked and has this *status*."""
        held = (
            Account.id == account_id,
            Account.status == status,
            Account.identifier_value.is_not(None),
        )
        after = status if status is AccountStatus.CLOSED else AccountStatus.REGISTERED
        return next(iter(await self._release(tx, held, 1, status=after)), None)

    async def release_closed(
        self, tx: Transaction, *, days: int, limit: int
    ) -> Sequence[ReleasedIdentifier]:
        """Release the identifier of at most *limit* accounts that were closed *days* ago."""
        overdue = (
            Account.status == AccountStatus.CLOSED,
            Account.identifier_value.is_not(None),
            Account.closed_at < _ago(days),
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


def _ago(days: int) -> ColumnElement[object]:
    # `statement_timestamp()`, because the planner cannot use an index with `clock_timestamp()`.
    return func.statement_timestamp() - func.make_interval(0, 0, 0, literal(days))
