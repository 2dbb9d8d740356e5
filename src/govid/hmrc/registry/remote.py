"""Verifies National Insurance numbers against HMRC."""

import logging
from collections.abc import Sequence

from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.upstream import AuthFailed, UpstreamFailure
from govid.hmrc.registry.matcher import (
    Deceased,
    Matcher,
    NoMatch,
    Person,
    described,
)
from govid.hmrc.registry.protocol import Claim, Evidence, Finding, Outcome

log = logging.getLogger(__name__)


class RemoteNinoVerifier:
    """Verifies numbers by a matching API of HMRC, real or simulated."""

    def __init__(self, matcher: Matcher) -> None:
        """Call HMRC through *matcher*."""
        self._matcher = matcher

    async def verify(self, claim: Claim) -> Finding:
        """Verify that the number is the claimant's. Without claimed facts, HMRC is not called."""
        if claim.facts is None:
            return Finding(outcome=Outcome.INSUFFICIENT)
        try:
            nino = normalise_identifier(IdentifierType.NIN, claim.nino, prototype_form=False)
        except ValueError:
            return self._finding_without_match(Outcome.MISMATCH)
        try:
            people = described(claim.facts, nino)
        except ValueError:
            # A request with a changed name could not match, and would cost the citizen an attempt.
            return Finding(outcome=Outcome.INSUFFICIENT)
        try:
            return await self._match(people, claim.correlation_id)
        except UpstreamFailure as failure:
            return _finding_after_failure(failure)

    async def _match(self, people: Sequence[Person], correlation_id: str | None) -> Finding:
        """Try each transcription of a name until one matches.

        All are tried unless one matches, so that the number of calls does not reveal whether the
        person has died.
        """
        outcome = Outcome.MISMATCH
        for person in people:
            try:
                evidence = await self._matcher.match(person, correlation_id)
            except NoMatch:
                continue
            except Deceased:
                outcome = Outcome.DECEASED
                continue
            return Finding(outcome=Outcome.MATCH, evidence=evidence)
        return self._finding_without_match(outcome)

    def _finding_without_match(self, outcome: Outcome) -> Finding:
        evidence = Evidence(method=self._matcher.method, strength=0, validity=0)
        return Finding(outcome=outcome, evidence=evidence)


def _finding_after_failure(failure: UpstreamFailure) -> Finding:
    if isinstance(failure, AuthFailed):
        log.error("department.credentials_rejected", extra={"department": "hmrc"})
        return Finding(outcome=Outcome.CREDENTIALS_REJECTED)
    return Finding(outcome=Outcome.UNAVAILABLE)
