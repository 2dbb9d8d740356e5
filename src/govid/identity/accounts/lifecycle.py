"""What a notice of death does to an account."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import AccountBlocked, DeathNotified
from govid.bus.contracts.identifiers import normalise
from govid.identity.repository.accounts import BLOCKED, Accounts
from govid.identity.repository.sessions import Sessions

SUBSCRIBER = "identity.lifecycle"
REASON = "death_notified"


class Lifecycle:
    """Blocks the account of somebody who has died: status, sessions and tokens in one commit.

    A notice that cannot be read, that contradicts itself, or whose person is blocked already, has
    no effect. One that finds no holder has none either; here is where it will be kept unclaimed,
    for a registration that comes after it.
    """

    def __init__(self, accounts: Accounts, sessions: Sessions) -> None:
        """Block accounts among *accounts*, and end their *sessions*."""
        self._accounts = accounts
        self._sessions = sessions

    async def prepare(self, delivery: Delivery[DeathNotified]) -> str | None:
        """Return the notice's identifier in canonical form, or None if it is none.

        Forms that registration no longer accepts still count: an account may be older than that.
        """
        notice = delivery.event
        try:
            return normalise(notice.identifier_type, notice.identifier_value, prototype_form=True)
        except ValueError:
            return None

    async def apply(
        self, tx: Transaction, delivery: Delivery[DeathNotified], outcome: str | None
    ) -> None:
        """Block the account that holds the identifier."""
        notice = delivery.event
        if outcome is None:
            return
        holder = await self._accounts.lock_holder(tx, notice.identifier_type, outcome)
        if holder is None or holder.status == BLOCKED:
            return
        if notice.user_id not in (None, holder.account_id):
            return
        await self._accounts.block(tx, holder.account_id)
        await self._sessions.revoke_all(tx, holder.account_id, reason=REASON)
        tx.emit(AccountBlocked(account_id=holder.account_id, reason=REASON, timestamp=tx.now))
