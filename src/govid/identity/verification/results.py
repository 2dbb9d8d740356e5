"""Applies verification results to accounts and stores the evidence of the departments."""

from collections.abc import Sequence
from uuid import UUID

from govid.bus import Delivery, Transaction
from govid.bus.events import (
    AccountVerificationFailed,
    AccountVerified,
    EvidenceGathered,
    ReviewOpened,
    VerificationCompleted,
    VerificationRefused,
)
from govid.bus.shared.contract import AccountStatus
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.accounts import AccountRepository
from govid.identity.repository.claimed_facts import ClaimedFactsRepository
from govid.identity.repository.life_events import LifeEventRepository
from govid.identity.repository.verification_attempts import (
    OpenAttempt,
    VerificationAttemptRepository,
)

DECEASED = "deceased"
RESTRICTED = "restricted"
INSUFFICIENT = "insufficient"
WITHOUT_EFFECT = "without_effect"
CONFIRMING_SCORE = 2
"""Evidence with this score confirms the claimed facts. Less may be a person of the same name."""


class EvidenceStore:
    """Stores evidence and records the result of the attempt for which it was gathered.

    The department's result event changes the account status; the evidence explains that result.
    """

    def __init__(
        self,
        attempts: VerificationAttemptRepository,
        claimed_facts: ClaimedFactsRepository,
        account_status: AccountStatusRepository,
        life_events: LifeEventRepository,
    ) -> None:
        """Store evidence in *attempts* and contra-indicators in *account_status*.

        *life_events* opens reviews.
        """
        self._attempts = attempts
        self._claimed_facts = claimed_facts
        self._account_status = account_status
        self._life_events = life_events

    async def save(self, tx: Transaction, evidence: EvidenceGathered) -> None:
        """Store the evidence. An attempt for which no department was called does not count."""
        attempt = await self._attempts.find_open(tx, evidence.account_id)
        if not await self._attempts.save_evidence(tx, evidence, attempt):
            return
        for indicator in _contra_indicators(evidence):
            await self._account_status.add_contra_indicator(tx, evidence.account_id, indicator)
        if evidence.outcome in (DECEASED, RESTRICTED):
            await self._open_review(tx, evidence, attempt)
        if evidence.outcome == INSUFFICIENT and attempt is not None:
            await self._attempts.record_outcome(tx, attempt.id, INSUFFICIENT)

    async def assess(self, tx: Transaction, result: VerificationCompleted) -> OpenAttempt | None:
        """Return the attempt that *result* belongs to, with the scores of its evidence."""
        attempt = await self._attempts.find_open(tx, result.user_id)
        if attempt is None or attempt.identifier_type != result.identifier_type:
            return None
        return attempt

    async def record_result(
        self,
        tx: Transaction,
        result: VerificationCompleted,
        attempt: OpenAttempt,
        *,
        has_effect: bool,
    ) -> None:
        """Record the result of *attempt*, which is used unless the answer had no effect.

        Claimed facts are deleted unless a department has confirmed them. The facts of a blocked
        account stay, because verification is requested again when the account is restored.
        """
        if not has_effect:
            await self._attempts.record_outcome(tx, attempt.id, WITHOUT_EFFECT)
            return
        await self._attempts.record_outcome(tx, attempt.id, _attempt_result(result, attempt))
        if not attempt.has_facts:
            return
        if result.is_verified and min(attempt.strength, attempt.validity) >= CONFIRMING_SCORE:
            await self._claimed_facts.mark_confirmed(tx, result.user_id)
        else:
            await self._claimed_facts.delete(tx, [result.user_id])

    async def delete_claimed_facts(self, tx: Transaction, account_id: UUID) -> None:
        """Delete the claimed facts, because no department will be asked to verify them."""
        await self._claimed_facts.delete(tx, [account_id])

    async def _open_review(
        self, tx: Transaction, evidence: EvidenceGathered, attempt: OpenAttempt | None
    ) -> None:
        review_id = await self._life_events.open_account_review(
            tx, evidence.account_id, evidence.outcome
        )
        if review_id is not None:
            tx.emit(
                ReviewOpened(
                    notice_id=evidence.request_id,
                    account_id=evidence.account_id,
                    identifier_type=evidence.identifier_type,
                    identifier_digest=attempt.identifier_digest if attempt else None,
                    timestamp=tx.now,
                    review_id=review_id,
                    reason=evidence.outcome,
                )
            )


def _contra_indicators(evidence: EvidenceGathered) -> Sequence[str]:
    return (*evidence.contra_indicators, *((DECEASED,) if evidence.outcome == DECEASED else ()))


def _attempt_result(result: VerificationCompleted, attempt: OpenAttempt) -> str:
    if result.is_verified:
        return "match"
    return DECEASED if attempt.evidence_outcome == DECEASED else "mismatch"


VERIFICATION_SUBSCRIBER = "identity.verification"
ATTEMPTS_EXHAUSTED = "attempts_exhausted"

VerificationEvent = VerificationCompleted | EvidenceGathered | VerificationRefused


class VerificationResultHandler:
    """Handles verification results: sets a pending account to verified or verification_failed.

    An account in any other status or with another identifier does not change, because the answer
    belongs to an earlier request. The same holds for an answer about no existing account.
    """

    def __init__(self, accounts: AccountRepository, evidence: EvidenceStore) -> None:
        """Change the status in *accounts*; *evidence* stores the evidence of a result."""
        self._accounts = accounts
        self._evidence = evidence

    async def prepare(self, delivery: Delivery[VerificationEvent]) -> None:
        """Return None: the event contains the result, so there is no input to prepare."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[VerificationEvent],
        outcome: None,  # noqa: ARG002 - part of the handler interface
    ) -> None:
        """Store evidence, or change the status and emit the event."""
        match delivery.event:
            case EvidenceGathered() as evidence:
                await self._evidence.save(tx, evidence)
            case VerificationRefused() as refusal:
                await self._refuse(tx, refusal)
            case VerificationCompleted() as result:
                await self._record_result(tx, result)

    async def _record_result(self, tx: Transaction, result: VerificationCompleted) -> None:
        attempt = await self._evidence.assess(tx, result)
        confirmed = attempt if result.is_verified else None
        changed = await self._accounts.record_verification(
            tx,
            result.user_id,
            result.identifier_type,
            status=AccountStatus.VERIFIED if result.is_verified else AccountStatus.FAILED,
            strength=confirmed.strength if confirmed else 0,
            validity=confirmed.validity if confirmed else 0,
        )
        if attempt is not None:
            await self._evidence.record_result(tx, result, attempt, has_effect=changed)
        if not changed:
            return
        if result.is_verified:
            tx.emit(AccountVerified(account_id=result.user_id, timestamp=tx.now))
        else:
            tx.emit(
                AccountVerificationFailed(
                    account_id=result.user_id, reason=result.error, timestamp=tx.now
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
