"""What a department's answer does to an account."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import (
    AccountVerificationFailed,
    AccountVerified,
    VerificationCompleted,
)
from govid.identity.repository.accounts import Accounts

SUBSCRIBER = "identity.verification"


class Verification:
    """Moves a pending account to verified or verification_failed.

    An account in any other state, of another identifier, or of nobody, stays as it is: the answer
    is late, and an answer to an old question takes nothing from anybody.
    """

    def __init__(self, accounts: Accounts) -> None:
        """Settle accounts among *accounts*."""
        self._accounts = accounts

    async def prepare(self, delivery: Delivery[VerificationCompleted]) -> None:
        """Ask nobody: the answer is the event."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[VerificationCompleted],
        outcome: None,  # noqa: ARG002 - the handler's face
    ) -> None:
        """Settle the account, and tell the house."""
        answer = delivery.event
        status = "verified" if answer.is_verified else "verification_failed"
        if not await self._accounts.settle(
            tx, answer.user_id, answer.identifier_type, status=status
        ):
            return
        if answer.is_verified:
            tx.emit(AccountVerified(account_id=answer.user_id, timestamp=tx.now))
        else:
            tx.emit(
                AccountVerificationFailed(
                    account_id=answer.user_id, reason=answer.error, timestamp=tx.now
                )
            )
