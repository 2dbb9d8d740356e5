"""Deletes a person's consent when their account is blocked or closed."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AccountBlocked, AccountClosed, AccountRestored
from govid.hmrc.repository import BlockedAccounts, ConsentRepository

AccountStatusEvent = AccountBlocked | AccountClosed | AccountRestored


class AccountStatusHandler:
    """Deletes the consent tokens of blocked and closed accounts.

    A restored account may consent again.
    """

    def __init__(self, accounts: BlockedAccounts, consents: ConsentRepository) -> None:
        """Mark *accounts* as blocked; delete from *consents*."""
        self._accounts = accounts
        self._consents = consents

    async def prepare(self, delivery: Delivery[AccountStatusEvent]) -> None:
        """Do nothing: there is no input to read."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[AccountStatusEvent],
        outcome: None,  # noqa: ARG002 - of the handler protocol
    ) -> None:
        """Mark the account first: a concurrent consent has then committed, or will be refused."""
        account_id = delivery.event.account_id
        if isinstance(delivery.event, AccountRestored):
            await self._accounts.restore(tx, account_id)
            return
        await self._accounts.block(tx, account_id)
        await self._consents.delete(tx, account_id)
