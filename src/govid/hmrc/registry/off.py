"""HMRC, not connected: whatever asks it has to wait."""

from govid.bus import Outage
from govid.hmrc.registry.protocol import Outcome


class OffNinoVerifier:
    """A verifier that is away."""

    async def verify(self, nino: str) -> Outcome:  # noqa: ARG002 - the port's
        """Answer nothing."""
        raise Outage("hmrc")
