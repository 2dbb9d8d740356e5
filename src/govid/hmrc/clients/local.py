"""Verifiers without HMRC: by the format of a number only, or always unavailable.

Well-formed numbers are verified, except the numbers that HMRC publishes for failures. The local
verifier is used only where departments are simulated.
"""

from collections.abc import Mapping

from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.shared.verification import (
    FORMAT_EVIDENCE,
    IdentityClaim,
    VerificationFinding,
    VerificationOutcome,
)
from govid.hmrc.clients.interfaces import NinoVerifier

_EXCEPTIONS: Mapping[str, VerificationOutcome] = {
    "ST281614D": VerificationOutcome.MISMATCH,
    "ZX000056A": VerificationOutcome.DECEASED,
}
"""Published test numbers: one that HMRC only handles manually, one of a person who has died."""


class LocalNinoVerifier:
    """A verifier that accepts every well-formed number as the claimant's."""

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:
        """Verify the format of the number; the claimed facts are ignored."""
        try:
            nino = normalise_identifier(
                IdentifierType.NIN, claim.number, accept_prototype_nhs=False
            )
        except ValueError:
            return VerificationFinding(
                outcome=VerificationOutcome.MISMATCH, evidence=FORMAT_EVIDENCE
            )
        return VerificationFinding(
            outcome=_EXCEPTIONS.get(nino, VerificationOutcome.MATCH), evidence=FORMAT_EVIDENCE
        )


class FormatOnlyVerifier:
    """A verifier for the contract's examples, where an account may have no claimed facts.

    A claim without facts is verified by the format of its number, as in the prototype. All others
    are matched.
    """

    def __init__(self, verifier: NinoVerifier, by_format: LocalNinoVerifier) -> None:
        """Use *by_format* for claims without facts, and *verifier* for all others."""
        self._verifier = verifier
        self._by_format = by_format

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:
        """Match a claim with facts; check only the number of a claim without."""
        if claim.facts is None:
            return await self._by_format.verify(claim)
        return await self._verifier.verify(claim)


class DisabledNinoVerifier:
    """A verifier that is always unavailable."""

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:  # noqa: ARG002 - of the protocol
        """Report that HMRC is unavailable."""
        return VerificationFinding(outcome=VerificationOutcome.UNAVAILABLE)
