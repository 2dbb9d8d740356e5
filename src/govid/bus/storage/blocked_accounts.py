"""Account status as a department knows it: which accounts are blocked.

Each department stores it in its own schema, in `<schema>.account`, from events of identity.
"""

from typing import cast
from uuid import UUID

from sqlalchemy import FromClause, Table, update
from sqlalchemy.dialects.postgresql import insert

from govid.bus.storage.transaction import Transaction


class BlockedAccounts:
    """Rows of accounts and their status; a row is created on first use."""

    def __init__(self, table: FromClause) -> None:
        """Use the *table* with the columns `account_id`, its primary key, and `blocked_at`."""
        self._table = cast("Table", table)  # Declared classes name the type of `__table__` wider.

    async def lock_and_check(self, tx: Transaction, account_id: UUID) -> bool:
        """Lock the account's row until *tx* ends, and tell whether the account is blocked.

        With a plain read, a concurrent block and use case would not see each other. Both could
        commit, and a blocked account would keep an appointment or consent tokens.
        """
        statement = insert(self._table).values(account_id=account_id)
        statement = statement.on_conflict_do_update(
            index_elements=[self._table.c.account_id],
            set_={"account_id": statement.excluded.account_id},
        )
        found = await tx.execute(statement.returning(self._table.c.blocked_at))
        return found.scalar_one() is not None

    async def block(self, tx: Transaction, account_id: UUID) -> None:
        """Store that the account is blocked; create its row if needed."""
        statement = insert(self._table).values(account_id=account_id, blocked_at=tx.now)
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[self._table.c.account_id],
                set_={"blocked_at": statement.excluded.blocked_at},
            )
        )

    async def restore(self, tx: Transaction, account_id: UUID) -> None:
        """Store that the account is not blocked."""
        await tx.execute(
            update(self._table)
            .where(self._table.c.account_id == account_id)
            .values(blocked_at=None)
        )
