"""HMRC as govid's verifier of National Insurance numbers."""

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
    """Asks HMRC, the real one or a simulated one: it is the same to it."""

    def __init__(self, matcher: Matcher) -> None:
        """Ask by *matcher*."""
        self._matcher = matcher

    async def verify(self, claim: Claim) -> Finding:
        """Tell whether the number is the claimant's. Without name and birth date nobody asks."""
        if claim.facts is None:
            return Finding(outcome=Outcome.INSUFFICIENT)
        try:
            nino = normalise_identifier(IdentifierType.NIN, claim.nino, prototype_form=False)
        except ValueError:
            return self._ended(Outcome.MISMATCH)
        try:
            people = described(claim.facts, nino)
        except ValueError:
            # To ask about a name that is not theirs would cost them an attempt.
            return Finding(outcome=Outcome.INSUFFICIENT)
        try:
            return await self._match(people, claim.correlation_id)
        except UpstreamFailure as failure:
            return _failed(failure)

    async def _match(self, people: Sequence[Person], correlation_id: str | None) -> Finding:
        """Ask about each transcription of a name until one matches.

        All are asked about unless one matches, so that the number of calls does not tell a death
        from a mismatch.
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
        return self._ended(outcome)

    def _ended(self, outcome: Outcome) -> Finding:
        evidence = Evidence(method=self._matcher.method, strength=0, validity=0)
        return Finding(outcome=outcome, evidence=evidence)


def _failed(failure: UpstreamFailure) -> Finding:
    if isinstance(failure, AuthFailed):
        log.error("department.credentials_rejected", extra={"department": "hmrc"})
        return Finding(outcome=Outcome.CREDENTIALS_REJECTED)
    return Finding(outcome=Outcome.UNAVAILABLE)
