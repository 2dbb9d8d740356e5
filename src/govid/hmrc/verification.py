"""Handles `verification.requested`: verifies National Insurance numbers at HMRC."""

from govid.bus import Delivery, Transaction
from govid.bus.events import HmrcEvidenceGathered, HmrcVerificationCompleted, VerificationRequested
from govid.bus.shared.identifiers import ClaimedFactsSource
from govid.bus.shared.verification import (
    FORMAT_EVIDENCE,
    NOT_MATCHED,
    IdentityClaim,
    VerificationFinding,
    VerificationOutcome,
    raise_for_outage,
)
from govid.hmrc.clients.interfaces import NinoVerifier


class VerificationHandler:
    """Verifies the number of a request at HMRC, and publishes the result."""

    def __init__(self, verifier: NinoVerifier, facts: ClaimedFactsSource | None = None) -> None:
        """Use *verifier* with the claimant's *facts*; None means that no facts are known."""
        self._verifier = verifier
        self._facts = facts

    async def prepare(self, delivery: Delivery[VerificationRequested]) -> VerificationFinding:
        """Verify the number at HMRC.

        Raises:
            Outage: HMRC is unavailable or rejects govid's credentials; the key waits, and no
                attempt is spent.
        """
        request = delivery.event
        claim = IdentityClaim(
            number=request.identifier_value,
            facts=await self._facts.for_account(request.user_id) if self._facts else None,
            correlation_id=delivery.correlation_id,
        )
        finding = await self._verifier.verify(claim)
        raise_for_outage(finding, "hmrc")
        return finding

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[VerificationRequested],
        outcome: VerificationFinding,
    ) -> None:
        """Publish the evidence, then the result.

        If too few facts are known, no result is published: the account stays pending until the
        account holder supplies more facts, which starts another request.
        """
        request = delivery.event
        if outcome.evidence != FORMAT_EVIDENCE:
            tx.emit(_build_evidence(tx, delivery, outcome))
        if not outcome.outcome.is_answer:
            return
        is_verified = outcome.outcome is VerificationOutcome.MATCH
        tx.emit(
            HmrcVerificationCompleted(
                user_id=request.user_id,
                identifier_type=request.identifier_type,
                is_verified=is_verified,
                timestamp=tx.now,
                error=None if is_verified else NOT_MATCHED,
            )
        )


def _build_evidence(
    tx: Transaction, delivery: Delivery[VerificationRequested], finding: VerificationFinding
) -> HmrcEvidenceGathered:
    request, evidence = delivery.event, finding.evidence
    return HmrcEvidenceGathered(
        request_id=delivery.id,
        account_id=request.user_id,
        identifier_type=request.identifier_type,
        outcome=finding.outcome.value,
        method=evidence.method if evidence else None,
        strength=evidence.strength if evidence else 0,
        validity=evidence.validity if evidence else 0,
        transaction=evidence.transaction if evidence else None,
        timestamp=tx.now,
    )
