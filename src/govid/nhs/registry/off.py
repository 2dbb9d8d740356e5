"""Clients of an NHS that is switched off: every request is an outage."""

from govid.bus import Outage
from govid.bus.contracts import AppointmentRequested
from govid.bus.contracts.facts import ClaimedFacts
from govid.nhs.decision import AppointmentDecision
from govid.nhs.registry.protocol import IdentityClaim, VerificationFinding, VerificationOutcome


class OffPatientRegistry:
    """Registry that is always unavailable."""

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:  # noqa: ARG002 - the interface's
        """Return unavailable."""
        return VerificationFinding(outcome=VerificationOutcome.UNAVAILABLE)

    async def trace(
        self,
        facts: ClaimedFacts,  # noqa: ARG002 - the interface's
        correlation_id: str | None = None,  # noqa: ARG002 - the interface's
    ) -> VerificationFinding:
        """Return unavailable."""
        return VerificationFinding(outcome=VerificationOutcome.UNAVAILABLE)


class OffAppointmentProvider:
    """Appointment provider that is always unavailable."""

    async def book(self, request: AppointmentRequested) -> AppointmentDecision:  # noqa: ARG002 - the interface's
        """Raise an outage."""
        raise Outage("nhs")
