"""Verifies National Insurance numbers against HMRC."""

import logging
from collections.abc import Sequence

from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.upstream import CredentialsRejected, UpstreamFailure
from govid.hmrc.registry.matcher import (
    NoMatch,
    PersonDeceased,
    PersonDetails,
    PersonMatcher,
    describe_person,
)
from govid.hmrc.registry.protocol import (
    Evidence,
    IdentityClaim,
    VerificationFinding,
    VerificationOutcome,
)

log = logging.getLogger(__name__)


class RemoteNinoVerifier:
    """Verifies numbers by a matching API of HMRC, real or simulated."""

    def __init__(self, matcher: PersonMatcher) -> None:
        """Call HMRC through *matcher*."""
        self._matcher = matcher

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:
        """Verify that the number is the claimant's. Without claimed facts, HMRC is not called."""
        if claim.facts is None:
            return VerificationFinding(outcome=VerificationOutcome.INSUFFICIENT)
        try:
            nino = normalise_identifier(IdentifierType.NIN, claim.nino, prototype_form=False)
        except ValueError:
            return self._finding_without_match(VerificationOutcome.MISMATCH)
        try:
            people = describe_person(claim.facts, nino)
        except ValueError:
            # A request with a changed name could not match, and would cost the citizen an attempt.
            return VerificationFinding(outcome=VerificationOutcome.INSUFFICIENT)
        try:
            return await self._match(people, claim.correlation_id)
        except UpstreamFailure as failure:
            return _finding_after_failure(failure)

    async def _match(
        self, people: Sequence[PersonDetails], correlation_id: str | None
    ) -> VerificationFinding:
        """Try each transcription of a name until one matches.

        All are tried unless one matches, so that the number of calls does not reveal whether the
        person has died.
        """
        outcome = VerificationOutcome.MISMATCH
        for person in people:
            try:
                evidence = await self._matcher.match(person, correlation_id)
            except NoMatch:
                continue
            except PersonDeceased:
                outcome = VerificationOutcome.DECEASED
                continue
            return VerificationFinding(outcome=VerificationOutcome.MATCH, evidence=evidence)
        return self._finding_without_match(outcome)

    def _finding_without_match(self, outcome: VerificationOutcome) -> VerificationFinding:
        evidence = Evidence(method=self._matcher.method, strength=0, validity=0)
        return VerificationFinding(outcome=outcome, evidence=evidence)


def _finding_after_failure(failure: UpstreamFailure) -> VerificationFinding:
    if isinstance(failure, CredentialsRejected):
        log.error("department.credentials_rejected", extra={"department": "hmrc"})
        return VerificationFinding(outcome=VerificationOutcome.CREDENTIALS_REJECTED)
    return VerificationFinding(outcome=VerificationOutcome.UNAVAILABLE)
