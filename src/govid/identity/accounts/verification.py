"""Applies the result of a verification to the account."""

from govid.bus import Delivery, Transaction
from govid.bus.contracts import (
    AccountVerificationFailed,
    AccountVerified,
    EvidenceGathered,
    VerificationCompleted,
    VerificationRefused,
)
from govid.bus.shared.account_status import AccountStatus
from govid.identity.accounts.evidence import EvidenceStore
from govid.identity.repository.accounts import AccountRepository

VERIFICATION_SUBSCRIBER = "identity.verification"
ATTEMPTS_EXHAUSTED = "attempts_exhausted"

VerificationAnswer = VerificationCompleted | EvidenceGathered | VerificationRefused


class VerificationResultHandler:
    """Handles verification results: sets a pending account to verified or verification_failed.

    An account in any other status or with another identifier does not change, because the answer
    belongs to an earlier request. The same holds for an answer about no existing account.
    """

    def __init__(self, accounts: AccountRepository, evidence: EvidenceStore) -> None:
        """Change the status in *accounts*; *evidence* stores the evidence of a result."""
        self._accounts = accounts
        self._evidence = evidence

    async def prepare(self, delivery: Delivery[VerificationAnswer]) -> None:
        """Return None: the event contains the result, so there is no input to prepare."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[VerificationAnswer],
        outcome: None,  # noqa: ARG002 - part of the handler interface
    ) -> None:
        """Store evidence, or change the status and emit the event."""
        match delivery.event:
            case EvidenceGathered() as found:
                await self._evidence.save(tx, found)
            case VerificationRefused() as refusal:
                await self._refuse(tx, refusal)
            case VerificationCompleted() as answer:
                await self._record_result(tx, answer)

    async def _record_result(self, tx: Transaction, answer: VerificationCompleted) -> None:
        attempt = await self._evidence.assess(tx, answer)
        found = attempt if answer.is_verified else None
        changed = await self._accounts.record_verification(
            tx,
            answer.user_id,
            answer.identifier_type,
            status=AccountStatus.VERIFIED if answer.is_verified else AccountStatus.FAILED,
            strength=found.strength if found else 0,
            validity=found.validity if found else 0,
        )
        if attempt is not None:
            await self._evidence.record_result(tx, answer, attempt, has_effect=changed)
        if not changed:
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
        if await self._accounts.record_verification(
            tx, refusal.account_id, refusal.identifier_type, status=AccountStatus.FAILED
        ):
            await self._evidence.delete_claimed_facts(tx, refusal.account_id)
            tx.emit(
                AccountVerificationFailed(
                    account_id=refusal.account_id, reason=ATTEMPTS_EXHAUSTED, timestamp=tx.now
                )
            )
