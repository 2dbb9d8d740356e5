"""Patient registry on the NHS's Personal Demographics Service (PDS)."""

import logging

from govid.bus.contracts import IdentifierType
from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.upstream import AuthFailed, UpstreamFailure
from govid.nhs.registry.matching import born, compare
from govid.nhs.registry.pds import Gone, NotFound, Pds, TooMany
from govid.nhs.registry.protocol import Claim, Evidence, Finding, Holder, Outcome
from govid.nhs.registry.record import ALIVE_AFTER_ALL, Record

log = logging.getLogger(__name__)

READ = "pds.read"
TRACE = "pds.trace"
FORMAL_DEATH = "2"
DEATH_REPORTED = "death-reported"


class RemotePatientRegistry:
    """Verifies claims against PDS, whether it is real or simulated."""

    def __init__(self, pds: Pds) -> None:
        """Read records by *pds*."""
        self._pds = pds

    async def verify(self, claim: Claim) -> Finding:
        """Verify the claimed number. A claim without facts is insufficient and sends no request."""
        if claim.facts is None:
            return Finding(outcome=Outcome.INSUFFICIENT)
        try:
            number = normalise_identifier(
                IdentifierType.NHS, claim.nhs_number, prototype_form=False
            )
        except ValueError:
            # This includes the prototype's form, which the NHS does not know.
            return _without_match(Outcome.MISMATCH, READ, None)
        try:
            record, request_id = await self._pds.read(number, claim.correlation_id)
        except (NotFound, Gone):
            return _without_match(Outcome.MISMATCH, READ, None)
        except UpstreamFailure as failure:
            return _failure_finding(failure)
        finding = _assess(claim.facts, record, READ, request_id)
        if record.id != number and finding.outcome is Outcome.MISMATCH:
            # A superseded number returns the same patient under the new number. The record of
            # another person is a response to a different request and must not be used.
            try:
                self._pds.refuse_other_subject()
            except UpstreamFailure as failure:
                return _failure_finding(failure)
        return finding

    async def trace(self, facts: ClaimedFacts, correlation_id: str | None = None) -> Finding:
        """Find the one patient who matches *facts*."""
        try:
            record, request_id = await self._pds.find(facts, correlation_id)
        except NotFound:
            return _without_match(Outcome.MISMATCH, TRACE, None)
        except TooMany:
            return _without_match(Outcome.INSUFFICIENT, TRACE, None)
        except UpstreamFailure as failure:
            return _failure_finding(failure)
        return _assess(facts, record, TRACE, request_id)


def _assess(facts: ClaimedFacts, record: Record, method: str, request_id: str | None) -> Finding:
    """Assess what *record* proves about a claim with *facts*."""
    if record.is_restricted:
        return _without_match(Outcome.RESTRICTED, method, request_id)
    if not record.is_verified:
        return _without_match(Outcome.INCOMPLETE, method, request_id)
    outcome = compare(facts, record)
    if outcome is not Outcome.MATCH:
        return _without_match(outcome, method, request_id)
    if record.death_status == FORMAL_DEATH:
        return _without_match(Outcome.DECEASED, method, request_id)
    name = record.usual_name
    names = [*(one for one in name.given if one), name.family or ""] if name else []
    return Finding(
        outcome=Outcome.MATCH,
        evidence=Evidence(
            method=method,
            strength=2,
            validity=2,
            transaction=request_id,
            contra_indicators=_contra_indicators(record),
        ),
        holder=Holder(nhs_number=record.id, name=" ".join(names), born=born(record)),
    )


def _contra_indicators(record: Record) -> tuple[str, ...]:
    """Return the contra-indicators of a match; an informal death notice is only a doubt."""
    if record.death_status == ALIVE_AFTER_ALL:
        return ()
    return (DEATH_REPORTED,) if record.death_status or record.deceased_date_time else ()


def _without_match(outcome: Outcome, method: str, request_id: str | None) -> Finding:
    evidence = Evidence(method=method, strength=0, validity=0, transaction=request_id)
    return Finding(outcome=outcome, evidence=evidence)


def _failure_finding(failure: UpstreamFailure) -> Finding:
    if isinstance(failure, AuthFailed):
        log.error("department.credentials_rejected", extra={"department": "nhs"})
        return Finding(outcome=Outcome.CREDENTIALS_REJECTED)
    return Finding(outcome=Outcome.UNAVAILABLE)
