"""What departments found out: kept, and weighed."""

from collections.abc import Sequence
from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import EvidenceGathered, ReviewOpened, VerificationCompleted
from govid.identity.repository.facts import Facts
from govid.identity.repository.holders import Holders
from govid.identity.repository.life_events import LifeEvents
from govid.identity.repository.verification_attempts import OpenAttempt, VerificationAttempts

DECEASED = "deceased"
RESTRICTED = "restricted"
INSUFFICIENT = "insufficient"
WITHOUT_EFFECT = "without_effect"
STRONG = 2
"""The scores from which evidence confirms what was claimed: less may be another of that name."""


class Evidence:
    """Keeps evidence, and settles the attempt that it was gathered for.

    The department's answer on its topic moves the account; this is what stands behind the answer.
    """

    def __init__(
        self, attempts: VerificationAttempts, facts: Facts, holders: Holders, events: LifeEvents
    ) -> None:
        """Keep it with *attempts*; mark *holders*, and let people look, by way of *events*."""
        self._attempts = attempts
        self._facts = facts
        self._holders = holders
        self._events = events

    async def take(self, tx: Transaction, found: EvidenceGathered) -> None:
        """Keep what was found. An attempt for which no department was asked is given back."""
        attempt = await self._attempts.open(tx, found.account_id)
        if not await self._attempts.keep(tx, found, attempt):
            return
        for doubt in _doubts(found):
            await self._holders.contra_indicate(tx, found.account_id, doubt)
        if found.outcome in (DECEASED, RESTRICTED):
            await self._review(tx, found, attempt)
        if found.outcome == INSUFFICIENT and attempt is not None:
            await self._attempts.settle(tx, attempt.id, INSUFFICIENT)

    async def weigh(self, tx: Transaction, answer: VerificationCompleted) -> OpenAttempt | None:
        """Return the attempt that *answer* is for, with the scores of what was found for it."""
        attempt = await self._attempts.open(tx, answer.user_id)
        if attempt is None or attempt.identifier_type != answer.identifier_type:
            return None
        return attempt

    async def settle(
        self,
        tx: Transaction,
        answer: VerificationCompleted,
        attempt: OpenAttempt,
        *,
        has_effect: bool,
    ) -> None:
        """Spend *attempt*, unless the answer found nobody who waited for it.

        Of what was claimed only what a department has confirmed is kept. A blocked account's facts
        stay: the question is put again when it is restored.
        """
        if not has_effect:
            await self._attempts.settle(tx, attempt.id, WITHOUT_EFFECT)
            return
        await self._attempts.settle(tx, attempt.id, _outcome(answer, attempt))
        if not attempt.has_facts:
            return
        if answer.is_verified and min(attempt.strength, attempt.validity) >= STRONG:
            await self._facts.confirm(tx, answer.user_id)
        else:
            await self._facts.forget(tx, [answer.user_id])

    async def forget(self, tx: Transaction, account_id: UUID) -> None:
        """Forget what was claimed, as nobody will be asked about it."""
        await self._facts.forget(tx, [account_id])

    async def _review(
        self, tx: Transaction, found: EvidenceGathered, attempt: OpenAttempt | None
    ) -> None:
        review_id = await self._events.open_review_of(tx, found.account_id, found.outcome)
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


def _doubts(found: EvidenceGathered) -> Sequence[str]:
    return (*found.contra_indicators, *((DECEASED,) if found.outcome == DECEASED else ()))


def _outcome(answer: VerificationCompleted, attempt: OpenAttempt) -> str:
    if answer.is_verified:
        return "match"
    return DECEASED if attempt.found == DECEASED else "mismatch"
