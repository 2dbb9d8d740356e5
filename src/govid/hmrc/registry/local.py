"""HMRC without HMRC: it answers by the form of a number, always the same.

Well-formed is verified, except for the numbers that HMRC publishes for failures. Only where
departments are simulated does anybody ask here.
"""

from collections.abc import Mapping

from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.hmrc.registry.protocol import Claim, Evidence, Finding, NinoVerifier, Outcome

_EXCEPTIONS: Mapping[str, Outcome] = {
    "ST281614D": Outcome.MISMATCH,
    "ZX000056A": Outcome.DECEASED,
}
"""Published test numbers: handled by hand only, dead."""

FORM = Evidence(method="form", strength=1, validity=1)
"""A number that looks like one: the least that there is."""


class LocalNinoVerifier:
    """A verifier for which every well-formed number belongs to whoever gives it."""

    async def verify(self, claim: Claim) -> Finding:
        """Answer by the form of the number; the facts do not matter."""
        try:
            nino = normalise_identifier(IdentifierType.NIN, claim.nino, prototype_form=False)
        except ValueError:
            return Finding(outcome=Outcome.MISMATCH, evidence=FORM)
        return Finding(outcome=_EXCEPTIONS.get(nino, Outcome.MATCH), evidence=FORM)


class ByFormWithoutFacts:
    """A simulated HMRC as the contract's examples need it.

    Who says nothing of themselves is verified by the form of their number, as the prototype did.
    All others are matched.
    """

    def __init__(self, verifier: NinoVerifier, by_form: LocalNinoVerifier) -> None:
        """Ask *verifier*, or else *by_form*."""
        self._verifier = verifier
        self._by_form = by_form

    async def verify(self, claim: Claim) -> Finding:
        """Match who says who they are; look at the others' number only."""
        if claim.facts is None:
            return await self._by_form.verify(claim)
        return await self._verifier.verify(claim)
