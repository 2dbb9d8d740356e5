"""The NHS's Personal Demographics Service as govid's registry of patients."""

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
    """Asks PDS, the real one or a simulated one: it is the same to it."""

    def __init__(self, pds: Pds) -> None:
        """Ask *pds*."""
        self._pds = pds

    async def verify(self, claim: Claim) -> Finding:
        """Tell whether the number is the claimant's. Without name and birth date nobody asks."""
        if claim.facts is None:
            return Finding(outcome=Outcome.INSUFFICIENT)
        try:
            number = normalise_identifier(
                IdentifierType.NHS, claim.nhs_number, prototype_form=False
            )
        except ValueError:
            # The prototype's form among them: the NHS knows no such number.
            return _ended(Outcome.MISMATCH, READ, None)
        try:
            record, exchange = await self._pds.read(number, claim.correlation_id)
        except (NotFound, Gone):
            return _ended(Outcome.MISMATCH, READ, None)
        except UpstreamFailure as failure:
            return _failed(failure)
        finding = _judged(claim.facts, record, READ, exchange)
        if record.id != number and finding.outcome is Outcome.MISMATCH:
            # A superseded number answers with its holder's new one. Anybody else is the answer
            # to somebody else's question, and counts for nothing.
            try:
                self._pds.refuse_other_subject()
            except UpstreamFailure as failure:
                return _failed(failure)
        return finding

    async def trace(self, facts: ClaimedFacts, correlation_id: str | None = None) -> Finding:
        """Find the one person whom *facts* describe."""
        try:
            record, exchange = await self._pds.find(facts, correlation_id)
        except NotFound:
            return _ended(Outcome.MISMATCH, TRACE, None)
        except TooMany:
            return _ended(Outcome.INSUFFICIENT, TRACE, None)
        except UpstreamFailure as failure:
            return _failed(failure)
        return _judged(facts, record, TRACE, exchange)


def _judged(facts: ClaimedFacts, record: Record, method: str, exchange: str | None) -> Finding:
    """Say what *record* proves about who claims *facts*."""
    if record.is_restricted:
        return _ended(Outcome.RESTRICTED, method, exchange)
    if not record.is_verified:
        return _ended(Outcome.INCOMPLETE, method, exchange)
    outcome = compare(facts, record)
    if outcome is not Outcome.MATCH:
        return _ended(outcome, method, exchange)
    if record.death_status == FORMAL_DEATH:
        return _ended(Outcome.DECEASED, method, exchange)
    name = record.usual_name
    words = [*(one for one in name.given if one), name.family or ""] if name else []
    return Finding(
        outcome=Outcome.MATCH,
        evidence=Evidence(
            method=method,
            strength=2,
            validity=2,
            transaction=exchange,
            contra_indicators=_doubts(record),
        ),
        holder=Holder(nhs_number=record.id, name=" ".join(words), born=born(record)),
    )


def _doubts(record: Record) -> tuple[str, ...]:
    """Return what speaks against a match. A death that nobody has registered decides nothing."""
    if record.death_status == ALIVE_AFTER_ALL:
        return ()
    return (DEATH_REPORTED,) if record.death_status or record.deceased_date_time else ()


def _ended(outcome: Outcome, method: str, exchange: str | None) -> Finding:
    evidence = Evidence(method=method, strength=0, validity=0, transaction=exchange)
    return Finding(outcome=outcome, evidence=evidence)


def _failed(failure: UpstreamFailure) -> Finding:
    if isinstance(failure, AuthFailed):
        log.error("department.credentials_rejected", extra={"department": "nhs"})
        return Finding(outcome=Outcome.CREDENTIALS_REJECTED)
    return Finding(outcome=Outcome.UNAVAILABLE)
