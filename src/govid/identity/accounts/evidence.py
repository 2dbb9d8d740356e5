"""Stores the evidence of departments and records the results of verification attempts."""

from collections.abc import Sequence
from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import EvidenceGathered, ReviewOpened, VerificationCompleted
from govid.identity.repository.facts import ClaimedFactsRepository
from govid.identity.repository.holders import AccountStatusRepository
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
        facts: ClaimedFactsRepository,
        account_status: AccountStatusRepository,
        life_events: LifeEventRepository,
    ) -> None:
        """Store evidence in *attempts* and contra-indicators in *account_status*.

        *life_events* opens reviews.
        """
        self._attempts = attempts
        self._facts = facts
        self._account_status = account_status
        self._life_events = life_events

    async def save(self, tx: Transaction, found: EvidenceGathered) -> None:
        """Store the evidence. An attempt for which no department was called does not count."""
        attempt = await self._attempts.find_open(tx, found.account_id)
        if not await self._attempts.save_evidence(tx, found, attempt):
            return
        for indicator in _contra_indicators(found):
            await self._account_status.add_contra_indicator(tx, found.account_id, indicator)
        if found.outcome in (DECEASED, RESTRICTED):
            await self._review(tx, found, attempt)
        if found.outcome == INSUFFICIENT and attempt is not None:
            await self._attempts.record_outcome(tx, attempt.id, INSUFFICIENT)

    async def assess(self, tx: Transaction, answer: VerificationCompleted) -> OpenAttempt | None:
        """Return the attempt that *answer* belongs to, with the scores of its evidence."""
        attempt = await self._attempts.find_open(tx, answer.user_id)
        if attempt is None or attempt.identifier_type != answer.identifier_type:
            return None
        return attempt

    async def record_result(
        self,
        tx: Transaction,
        answer: VerificationCompleted,
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
        await self._attempts.record_outcome(tx, attempt.id, _attempt_result(answer, attempt))
        if not attempt.has_facts:
            return
        if answer.is_verified and min(attempt.strength, attempt.validity) >= CONFIRMING_SCORE:
            await self._facts.mark_confirmed(tx, answer.user_id)
        else:
            await self._facts.delete(tx, [answer.user_id])

    async def delete_claimed_facts(self, tx: Transaction, account_id: UUID) -> None:
        """Delete the claimed facts, because no department will be asked to verify them."""
        await self._facts.delete(tx, [account_id])

    async def _review(
        self, tx: Transaction, found: EvidenceGathered, attempt: OpenAttempt | None
    ) -> None:
        review_id = await self._life_events.open_account_review(tx, found.account_id, found.outcome)
        if review_id is not None:
            tx.emit(
                ReviewOpened(
                    notice_id=found.request_id,
                    account_id=found.account_id,
                    identifier_type=found.identifier_type,
                    identifier_digest=attempt.identifier_digest if attempt else None,
                    timestamp=tx.now,
                    review_id=review_id,
                    reason=found.outcome,
                )
            )


def _contra_indicators(found: EvidenceGathered) -> Sequence[str]:
    return (*found.contra_indicators, *((DECEASED,) if found.outcome == DECEASED else ()))


def _attempt_result(answer: VerificationCompleted, attempt: OpenAttempt) -> str:
    if answer.is_verified:
        return "match"
    return DECEASED if attempt.found == DECEASED else "mismatch"
