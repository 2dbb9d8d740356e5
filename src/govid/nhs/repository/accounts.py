"""Account status as the NHS module knows it: whether an account is blocked."""

from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from govid.bus import Transaction
from govid.nhs.models import Account


class BlockedAccounts:
    """Rows of accounts and their status; a row is created on first use."""

    async def lock_and_check(self, tx: Transaction, account_id: UUID) -> bool:
        """Lock the account's row until *tx* ends and tell whether the account is blocked.

        With a plain read, a concurrent block and booking would not see each other, and an
        appointment of a blocked account would remain.
        """
        statement = insert(Account).values(account_id=account_id)
        statement = statement.on_conflict_do_update(
            index_elements=[Account.account_id],
            set_={"account_id": statement.excluded.account_id},
        )
        found = await tx.execute(statement.returning(Account.blocked_at))
        return found.scalar_one() is not None

    async def block(self, tx: Transaction, account_id: UUID) -> None:
        """Store that the account is blocked; create its row if needed."""
        statement = insert(Account).values(account_id=account_id, blocked_at=tx.now)
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[Account.account_id],
                set_={"blocked_at": statement.excluded.blocked_at},
            )
        )

    async def restore(self, tx: Transaction, account_id: UUID) -> None:
        """Store that the account is not blocked."""
        await tx.execute(
            update(Account).where(Account.account_id == account_id).values(blocked_at=None)
        )
