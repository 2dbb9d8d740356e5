"""Handles `identity.verification.requested`: verifies a claimed NHS number."""

from govid.bus import BlockedAccounts, Delivery, Transaction
from govid.bus.events import NhsEvidenceGathered, NhsVerificationCompleted, VerificationRequested
from govid.bus.shared.identifiers import ClaimedFactsSource
from govid.bus.shared.verification import (
    FORMAT_EVIDENCE,
    NOT_MATCHED,
    IdentityClaim,
    VerificationOutcome,
    raise_for_outage,
)
from govid.nhs.clients.interfaces import PatientRegistry, RegistryFinding
from govid.nhs.repository import PatientRepository


class VerificationHandler:
    """Handler that verifies an NHS number against the patient registry."""

    def __init__(
        self,
        registry: PatientRegistry,
        accounts: BlockedAccounts,
        patients: PatientRepository,
        facts: ClaimedFactsSource | None = None,
    ) -> None:
        """Ask *registry*; store a matched patient in *patients*, unless *accounts* blocks it.

        *facts* returns the claimed facts of an account. Without it, no claim has facts.
        """
        self._registry = registry
        self._accounts = accounts
        self._patients = patients
        self._facts = facts

    async def prepare(self, delivery: Delivery[VerificationRequested]) -> RegistryFinding:
        """Ask the registry.

        Raises:
            Outage: the registry is unavailable or rejects govid's credentials. The delivery is
                retried, and no verification attempt is used.
        """
        request = delivery.event
        claim = IdentityClaim(
            number=request.identifier_value,
            facts=await self._facts.for_account(request.user_id) if self._facts else None,
            correlation_id=delivery.correlation_id,
        )
        finding = await self._registry.verify(claim)
        raise_for_outage(finding, "nhs")
        return finding

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[VerificationRequested],
        outcome: RegistryFinding,
    ) -> None:
        """Publish the evidence and then the result; store the record of a matched patient.

        If the claim has too few facts, no result is published. The account waits until its holder
        adds facts, which is a new verification request.
        """
        request = delivery.event
        if outcome.evidence != FORMAT_EVIDENCE:
            tx.emit(_build_evidence(tx, delivery, outcome))
        if not outcome.outcome.is_answer:
            return
        is_verified = outcome.outcome is VerificationOutcome.MATCH
        # A result may arrive late. Nothing is stored for an account that was closed meanwhile.
        if (
            is_verified
            and (patient := outcome.patient)
            and not await self._accounts.lock_and_check(tx, request.user_id)
        ):
            await self._patients.upsert_registered(
                tx, request.user_id, nhs_number=patient.nhs_number, name=patient.name
            )
        tx.emit(
            NhsVerificationCompleted(
                user_id=request.user_id,
                identifier_type=request.identifier_type,
                is_verified=is_verified,
                timestamp=tx.now,
                error=None if is_verified else NOT_MATCHED,
            )
        )


def _build_evidence(
    tx: Transaction, delivery: Delivery[VerificationRequested], finding: RegistryFinding
) -> NhsEvidenceGathered:
    request, evidence = delivery.event, finding.evidence
    return NhsEvidenceGathered(
        request_id=delivery.id,
        account_id=request.user_id,
        identifier_type=request.identifier_type,
        outcome=finding.outcome.value,
        method=evidence.method if evidence else None,
        strength=evidence.strength if evidence else 0,
        validity=evidence.validity if evidence else 0,
        transaction=evidence.transaction if evidence else None,
        contra_indicators=evidence.contra_indicators if evidence else (),
        timestamp=tx.now,
    )
