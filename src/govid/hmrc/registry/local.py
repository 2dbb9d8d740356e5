"""HMRC, simulated: it answers by the form of a number, always the same.

Well-formed is verified, except for the numbers that HMRC publishes for failures.
"""

from collections.abc import Mapping

from govid.bus.contracts import IdentifierType
from govid.bus.contracts.identifiers import normalise
from govid.hmrc.registry.protocol import Outcome

_EXCEPTIONS: Mapping[str, Outcome] = {
    "ST281614D": Outcome.WITHHELD,
    "ZX000056A": Outcome.DECEASED,
}
"""Published test numbers: handled by hand only, dead."""


class LocalNinoVerifier:
    """A verifier for which every well-formed number belongs to whoever gives it."""

    async def verify(self, nino: str) -> Outcome:
        """Answer by the form of *nino*."""
        try:
            number = normalise(IdentifierType.NIN, nino, prototype_form=False)
        except ValueError:
            return Outcome.MISMATCH
        return _EXCEPTIONS.get(number, Outcome.MATCH)
