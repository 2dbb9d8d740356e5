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
