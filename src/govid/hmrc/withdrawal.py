"""What becomes of a person's consent when their account is blocked or closed."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AccountBlocked, AccountClosed, AccountRestored
from govid.hmrc.repository import Accounts, Consents

Standing = AccountBlocked | AccountClosed | AccountRestored


class Withdrawal:
    """Keeps accounts that are blocked or closed without anything that opens tax records.

    Who is restored may consent again.
    """

    def __init__(self, accounts: Accounts, consents: Consents) -> None:
        """Mark *accounts*; forget among *consents*."""
        self._accounts = accounts
        self._consents = consents

    async def prepare(self, delivery: Delivery[Standing]) -> None:
        """Ask nobody."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[Standing],
        outcome: None,  # noqa: ARG002 - nobody was asked
    ) -> None:
        """Mark the account first: a consent under way has then committed, or will be refused."""
        account_id = delivery.event.account_id
        if isinstance(delivery.event, AccountRestored):
            await self._accounts.restore(tx, account_id)
            return
        await self._accounts.block(tx, account_id)
        await self._consents.forget(tx, account_id)
