"""Accounts, as HMRC's module knows them."""

from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from govid.bus import Transaction
from govid.hmrc.models import Account


class Accounts:
    """What is remembered of accounts. They are known from when they first begin to consent."""

    async def lock(self, tx: Transaction, account_id: UUID) -> bool:
        """Tell whether the account is blocked, and let nobody block it before *tx* ends.

        A plain read would let a block and a consent pass each other unseen, and tokens would
        outlive the person.
        """
        statement = insert(Account).values(account_id=account_id)
        statement = statement.on_conflict_do_update(
            index_elements=[Account.account_id],
            set_={"account_id": statement.excluded.account_id},
        )
        found = await tx.execute(statement.returning(Account.blocked_at))
        return found.scalar_one() is not None

    async def block(self, tx: Transaction, account_id: UUID) -> None:
        """Remember that the account is blocked or closed, known or not."""
        statement = insert(Account).values(account_id=account_id, blocked_at=tx.now)
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[Account.account_id],
                set_={"blocked_at": statement.excluded.blocked_at},
            )
        )

    async def restore(self, tx: Transaction, account_id: UUID) -> None:
        """Remember that the account is not blocked."""
        await tx.execute(
            update(Account).where(Account.account_id == account_id).values(blocked_at=None)
        )
