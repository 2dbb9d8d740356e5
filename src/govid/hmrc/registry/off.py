"""Replaces the verifier where HMRC is not connected: verification waits."""

from govid.hmrc.registry.protocol import IdentityClaim, VerificationFinding, VerificationOutcome


class OffNinoVerifier:
    """A verifier that is always unavailable."""

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:  # noqa: ARG002 - of the protocol
        """Report that HMRC is unavailable."""
        return VerificationFinding(outcome=VerificationOutcome.UNAVAILABLE)
