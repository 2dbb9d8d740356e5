"""HMRC, not connected: whatever asks it has to wait."""

from govid.hmrc.registry.protocol import Claim, Finding, Outcome


class OffNinoVerifier:
    """A verifier that is away."""

    async def verify(self, claim: Claim) -> Finding:  # noqa: ARG002 - the port's
        """Answer nothing."""
        return Finding(outcome=Outcome.UNAVAILABLE)
