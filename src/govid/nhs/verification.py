"""Whether an NHS number is the claimant's."""

from govid.bus import Delivery, Outage, Transaction
from govid.bus.contracts import NhsEvidenceGathered, NhsVerificationCompleted, VerificationRequested
from govid.bus.contracts.facts import FactsOfAccounts
from govid.nhs.registry.local import FORM
from govid.nhs.registry.protocol import Claim, Finding, Outcome, PatientRegistry
from govid.nhs.repository import Accounts, Patients

NOT_MATCHED = "not_matched"
"""A permanent code. It stands for every reason, so that no two of them can be told apart."""


class Verification:
    """Asks the registry, and answers on the registry's behalf."""

    def __init__(
        self,
        registry: PatientRegistry,
        accounts: Accounts,
        patients: Patients,
        facts: FactsOfAccounts | None = None,
    ) -> None:
        """Ask *registry*; keep in *patients* what it knows of a holder, while *accounts* last.

        What a citizen claims is asked of *facts*; without them, nobody says anything.
        """
        self._registry = registry
        self._accounts = accounts
        self._patients = patients
        self._facts = facts

    async def prepare(self, delivery: Delivery[VerificationRequested]) -> Finding:
        """Ask the registry.

        Raises:
            Outage: it is away, or does not let govid in; the key waits, no attempt is spent.
        """
        request = delivery.event
        claim = Claim(
            nhs_number=request.identifier_value,
            facts=await self._facts.of(request.user_id) if self._facts else None,
            correlation_id=delivery.correlation_id,
        )
        finding = await self._registry.verify(claim)
        if finding.outcome in (Outcome.UNAVAILABLE, Outcome.CREDENTIALS_REJECTED):
            raise Outage("nhs")
        return finding

    async def apply(
        self, tx: Transaction, delivery: Delivery[VerificationRequested], outcome: Finding
    ) -> None:
        """Publish the answer, after what it rests on; keep the record of a person who was matched.

        Where the citizen has said too little nothing is answered: the account waits until its
        holder says more, which is another request.
        """
        request = delivery.event
        if outcome.evidence != FORM:
            tx.emit(_evidence(tx, delivery, outcome))
        if not outcome.outcome.is_answer:
            return
        is_verified = outcome.outcome is Outcome.MATCH
        # An answer may be late: of an account that was closed since, nothing is kept.
        if (
            is_verified
            and (holder := outcome.holder)
            and not await self._accounts.lock(tx, request.user_id)
        ):
            await self._patients.put_registered(
                tx, request.user_id, nhs_number=holder.nhs_number, name=holder.name
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


def _evidence(
    tx: Transaction, delivery: Delivery[VerificationRequested], finding: Finding
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
