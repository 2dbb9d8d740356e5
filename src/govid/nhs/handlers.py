"""Lists the event subscribers of the NHS module."""

from collections.abc import Sequence

from govid.bus import Consumer
from govid.bus.contracts import (
    AccountBlocked,
    AccountClosed,
    AccountRestored,
    AppointmentDecided,
    AppointmentRequested,
    AppointmentSlotHeld,
    IdentifierType,
    VerificationRequested,
)
from govid.nhs.booking import Booking
from govid.nhs.cancellation import Cancellation
from govid.nhs.decision import AppointmentStatus
from govid.nhs.verification import Verification

VERIFICATION = "nhs.verification"
BOOKING = "nhs.booking"


def consumers(
    verification: Verification, booking: Booking, account_status: Cancellation
) -> Sequence[Consumer]:
    """Return the module's subscribers. Their names are stored and must never change (I10)."""
    return (
        Consumer(
            name=VERIFICATION,
            handles=(VerificationRequested,),
            wants=lambda event: event.identifier_type is IdentifierType.NHS,
            handler=verification,
            grouped=False,
        ),
        Consumer(
            name=BOOKING,
            handles=(AppointmentRequested, AppointmentSlotHeld, AppointmentDecided),
            wants=lambda event: (
                not isinstance(event, AppointmentDecided)
                or event.status == AppointmentStatus.CANCELLED
            ),
            handler=booking,
            grouped=False,
        ),
        Consumer(
            name="nhs.appointments",
            handles=(AccountBlocked, AccountClosed, AccountRestored),
            handler=account_status,
            grouped=False,
        ),
    )
