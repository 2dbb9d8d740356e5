"""Events in: which of them reach the NHS, under which names."""

from collections.abc import Sequence

from govid.bus import Consumer
from govid.bus.contracts import (
    AccountBlocked,
    AccountClosed,
    AccountRestored,
    AppointmentRequested,
    IdentifierType,
    VerificationRequested,
)
from govid.nhs.booking import Booking
from govid.nhs.cancellation import Cancellation
from govid.nhs.verification import Verification

VERIFICATION = "nhs.verification"


def consumers(
    verification: Verification, booking: Booking, cancellation: Cancellation
) -> Sequence[Consumer]:
    """Return the module's subscribers. Their names are stored, and never change (I10)."""
    return (
        Consumer(
            name=VERIFICATION,
            handles=(VerificationRequested,),
            wants=lambda event: event.identifier_type is IdentifierType.NHS,
            handler=verification,
        ),
        Consumer(name="nhs.booking", handles=(AppointmentRequested,), handler=booking),
        Consumer(
            name="nhs.appointments",
            handles=(AccountBlocked, AccountClosed, AccountRestored),
            handler=cancellation,
        ),
    )
