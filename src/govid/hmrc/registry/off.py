"""Replaces the verifier where HMRC is not connected: verification waits."""

from govid.hmrc.registry.protocol import Claim, Finding, Outcome


class OffNinoVerifier:
    """A verifier that is always unavailable."""

    async def verify(self, claim: Claim) -> Finding:  # noqa: ARG002 - of the protocol
        """Report that HMRC is unavailable."""
        return Finding(outcome=Outcome.UNAVAILABLE)
