"""Patient registry on the NHS's Personal Demographics Service (PDS).

Claimed facts are matched with the record by family name, first given name and date of birth.
"""

import logging
from datetime import date

from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import ClaimedFacts, normalise_identifier
from govid.bus.shared.names import is_same_given_name, is_same_name
from govid.bus.shared.verification import Evidence, IdentityClaim, VerificationOutcome
from govid.bus.upstream import CredentialsRejected, UpstreamFailure
from govid.nhs.clients.fhir_resources import DEATH_STATUS_REMOVED, HumanName, PatientResource
from govid.nhs.clients.interfaces import RegisteredPatient, RegistryFinding
from govid.nhs.clients.pds import PatientNotFound, PdsClient, RecordInvalidated

log = logging.getLogger(__name__)


_FULL_DATE = len("2010-10-22")


def compare_facts(facts: ClaimedFacts, record: PatientResource) -> VerificationOutcome:
    """Return match, mismatch, or incomplete if the record lacks data.

    The result does not reveal which of the facts differs.
    """
    name = record.usual_name
    if name is None or not (name.family or _first_given_name(name)) or not record.birth_date:
        return VerificationOutcome.INCOMPLETE
    if not (
        _has_name(facts, name) and facts.date_of_birth.isoformat().startswith(record.birth_date)
    ):
        return VerificationOutcome.MISMATCH
    if len(record.birth_date) < _FULL_DATE:
        return VerificationOutcome.INCOMPLETE
    return VerificationOutcome.MATCH


def exact_birth_date(record: PatientResource) -> date | None:
    """Return the date of birth if it is recorded to the day."""
    try:
        return date.fromisoformat(record.birth_date or "")
    except ValueError:
        return None


def _has_name(facts: ClaimedFacts, name: HumanName) -> bool:
    """Compare names. A single name may be recorded as family name or as given name."""
    given = _first_given_name(name)
    if facts.given_name is None:
        return not (name.family and given) and is_same_name(name.family or given, facts.family_name)
    return is_same_name(name.family or "", facts.family_name) and is_same_given_name(
        given, facts.given_name
    )


def _first_given_name(name: HumanName) -> str:
    """Return the first recorded given name; PDS lists given names one by one, with gaps."""
    return next((one for one in name.given if one), "")


READ_METHOD = "pds.read"
FORMAL_DEATH = "2"
DEATH_REPORTED = "death-reported"


class PdsPatientRegistry:
    """Verifies claims against PDS, whether it is real or simulated."""

    def __init__(self, pds: PdsClient) -> None:
        """Read records by *pds*."""
        self._pds = pds

    async def verify(self, claim: IdentityClaim) -> RegistryFinding:
        """Verify the claimed number. A claim without facts is insufficient and sends no request."""
        if claim.facts is None:
            return RegistryFinding(outcome=VerificationOutcome.INSUFFICIENT)
        try:
            number = normalise_identifier(
                IdentifierType.NHS, claim.number, accept_prototype_nhs=False
            )
        except ValueError:
            # This includes the prototype's form, which the NHS does not know.
            return _finding_without_match(VerificationOutcome.MISMATCH)
        try:
            record, request_id = await self._pds.fetch_patient(number, claim.correlation_id)
        except (PatientNotFound, RecordInvalidated):
            return _finding_without_match(VerificationOutcome.MISMATCH)
        except UpstreamFailure as failure:
            return _finding_after_failure(failure)
        finding = _assess(claim.facts, record, request_id)
        if record.id != number and finding.outcome is VerificationOutcome.MISMATCH:
            # A superseded number returns the same patient under the new number. The record of
            # another person is a response to a different request and must not be used.
            try:
                self._pds.reject_other_subject()
            except UpstreamFailure as failure:
                return _finding_after_failure(failure)
        return finding


def _assess(
    facts: ClaimedFacts, record: PatientResource, request_id: str | None
) -> RegistryFinding:
    """Assess what *record* proves about a claim with *facts*."""
    if record.is_restricted:
        return _finding_without_match(VerificationOutcome.RESTRICTED, request_id)
    if not record.is_verified:
        return _finding_without_match(VerificationOutcome.INCOMPLETE, request_id)
    outcome = compare_facts(facts, record)
    if outcome is not VerificationOutcome.MATCH:
        return _finding_without_match(outcome, request_id)
    if record.death_status == FORMAL_DEATH:
        return _finding_without_match(VerificationOutcome.DECEASED, request_id)
    name = record.usual_name
    names = [*(one for one in name.given if one), name.family or ""] if name else []
    return RegistryFinding(
        outcome=VerificationOutcome.MATCH,
        evidence=Evidence(
            method=READ_METHOD,
            strength=2,
            validity=2,
            transaction=request_id,
            contra_indicators=_contra_indicators(record),
        ),
        patient=RegisteredPatient(
            nhs_number=record.id, name=" ".join(names), birth_date=exact_birth_date(record)
        ),
    )


def _contra_indicators(record: PatientResource) -> tuple[str, ...]:
    """Return the contra-indicators of a match; an informal death notice is only a doubt."""
    if record.death_status == DEATH_STATUS_REMOVED:
        return ()
    return (DEATH_REPORTED,) if record.death_status or record.deceased_date_time else ()


def _finding_without_match(
    outcome: VerificationOutcome, request_id: str | None = None
) -> RegistryFinding:
    evidence = Evidence(method=READ_METHOD, strength=0, validity=0, transaction=request_id)
    return RegistryFinding(outcome=outcome, evidence=evidence)


def _finding_after_failure(failure: UpstreamFailure) -> RegistryFinding:
    if isinstance(failure, CredentialsRejected):
        log.error("department.credentials_rejected", extra={"department": "nhs"})
        return RegistryFinding(outcome=VerificationOutcome.CREDENTIALS_REJECTED)
    return RegistryFinding(outcome=VerificationOutcome.UNAVAILABLE)
