"""Stores which accounts are blocked, as the HMRC module knows it."""

from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from govid.bus import Transaction
from govid.hmrc.models import Account


class BlockedAccounts:
    """Stores which accounts are blocked. An account is known from its first consent request."""

    async def lock_and_check(self, tx: Transaction, account_id: UUID) -> bool:
        """Tell whether the account is blocked, and lock its row until *tx* ends.

        With a plain read, a concurrent block and consent could both commit, and consent tokens
        would stay stored for a blocked account.
        """
        statement = insert(Account).values(account_id=account_id)
        statement = statement.on_conflict_do_update(
            index_elements=[Account.account_id],
            set_={"account_id": statement.excluded.account_id},
        )
        found = await tx.execute(statement.returning(Account.blocked_at))
        return found.scalar_one() is not None

    async def block(self, tx: Transaction, account_id: UUID) -> None:
        """Mark the account as blocked, whether or not it is known."""
        statement = insert(Account).values(account_id=account_id, blocked_at=tx.now)
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[Account.account_id],
                set_={"blocked_at": statement.excluded.blocked_at},
            )
        )

    async def restore(self, tx: Transaction, account_id: UUID) -> None:
        """Mark the account as not blocked."""
        await tx.execute(
            update(Account).where(Account.account_id == account_id).values(blocked_at=None)
        )
