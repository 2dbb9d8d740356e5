"""What a department's answer does to an account."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import (
    AccountVerificationFailed,
    AccountVerified,
    EvidenceGathered,
    VerificationCompleted,
    VerificationRefused,
)
from govid.bus.shared.account_status import AccountStatus
from govid.identity.accounts.evidence import Evidence
from govid.identity.repository.accounts import Accounts

SUBSCRIBER = "identity.verification"
EXHAUSTED = "attempts_exhausted"

Answer = VerificationCompleted | EvidenceGathered | VerificationRefused


class Verification:
    """Moves a pending account to verified or verification_failed.

    An account in any other state, of another identifier, or of nobody, stays as it is: the answer
    is late, and an answer to an old question takes nothing from anybody.
    """

    def __init__(self, accounts: Accounts, evidence: Evidence) -> None:
        """Settle accounts among *accounts*, by *evidence* where there is any."""
        self._accounts = accounts
        self._evidence = evidence

    async def prepare(self, delivery: Delivery[Answer]) -> None:
        """Ask nobody: the answer is the event."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[Answer],
        outcome: None,  # noqa: ARG002 - the handler's face
    ) -> None:
        """Settle the account, and tell the house."""
        match delivery.event:
            case EvidenceGathered() as found:
                await self._evidence.take(tx, found)
            case VerificationRefused() as refusal:
                await self._refuse(tx, refusal)
            case VerificationCompleted() as answer:
                await self._settle(tx, answer)

    async def _settle(self, tx: Transaction, answer: VerificationCompleted) -> None:
        attempt = await self._evidence.weigh(tx, answer)
        found = attempt if answer.is_verified else None
        settled = await self._accounts.settle(
            tx,
            answer.user_id,
            answer.identifier_type,
            status=AccountStatus.VERIFIED if answer.is_verified else AccountStatus.FAILED,
            strength=found.strength if found else 0,
            validity=found.validity if found else 0,
        )
        if attempt is not None:
            await self._evidence.settle(tx, answer, attempt, has_effect=settled)
        if not settled:
            return
        if answer.is_verified:
            tx.emit(AccountVerified(account_id=answer.user_id, timestamp=tx.now))
        else:
            tx.emit(
                AccountVerificationFailed(
                    account_id=answer.user_id, reason=answer.error, timestamp=tx.now
                )
            )

    async def _refuse(self, tx: Transaction, refusal: VerificationRefused) -> None:
        if await self._accounts.settle(
            tx, refusal.account_id, refusal.identifier_type, status=AccountStatus.FAILED
        ):
            await self._evidence.forget(tx, refusal.account_id)
            tx.emit(
                AccountVerificationFailed(
                    account_id=refusal.account_id, reason=EXHAUSTED, timestamp=tx.now
                )
            )
