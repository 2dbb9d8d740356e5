"""The NHS, not connected: whatever asks it has to wait."""

from govid.bus import Outage
from govid.bus.contracts import AppointmentRequested
from govid.nhs.decision import Decision
from govid.nhs.registry.protocol import Finding


class OffPatientRegistry:
    """A registry that is away."""

    async def verify(self, nhs_number: str) -> Finding:  # noqa: ARG002 - the port's
        """Answer nothing."""
        raise Outage("nhs")


class OffAppointmentProvider:
    """A provider that is away."""

    async def book(self, wish: AppointmentRequested) -> Decision:  # noqa: ARG002 - the port's
        """Answer nothing."""
        raise Outage("nhs")
