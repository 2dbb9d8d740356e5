"""The NHS, not connected: whatever asks it has to wait."""

from govid.bus import Outage
from govid.bus.contracts import AppointmentRequested
from govid.bus.contracts.facts import ClaimedFacts
from govid.nhs.decision import Decision
from govid.nhs.registry.protocol import Claim, Finding, Outcome


class OffPatientRegistry:
    """A registry that is away."""

    async def verify(self, claim: Claim) -> Finding:  # noqa: ARG002 - the port's
        """Answer nothing."""
        return Finding(outcome=Outcome.UNAVAILABLE)

    async def trace(
        self,
        facts: ClaimedFacts,  # noqa: ARG002 - the port's
        correlation_id: str | None = None,  # noqa: ARG002 - the port's
    ) -> Finding:
        """Answer nothing."""
        return Finding(outcome=Outcome.UNAVAILABLE)


class OffAppointmentProvider:
    """A provider that is away."""

    async def book(self, wish: AppointmentRequested) -> Decision:  # noqa: ARG002 - the port's
        """Answer nothing."""
        raise Outage("nhs")
