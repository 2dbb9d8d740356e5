"""Lists the event subscribers of the NHS module."""

from collections.abc import Sequence

from govid.bus import Subscriber
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
from govid.nhs.booking import BookingHandler
from govid.nhs.cancellation import AccountStatusHandler
from govid.nhs.decision import AppointmentStatus
from govid.nhs.verification import VerificationHandler

VERIFICATION_SUBSCRIBER = "nhs.verification"
BOOKING_SUBSCRIBER = "nhs.booking"


def build_subscribers(
    verification: VerificationHandler, booking: BookingHandler, account_status: AccountStatusHandler
) -> Sequence[Subscriber]:
    """Return the module's subscribers. Their names are stored and must never change (I10)."""
    return (
        Subscriber(
            name=VERIFICATION_SUBSCRIBER,
            handles=(VerificationRequested,),
            predicate=lambda event: event.identifier_type is IdentifierType.NHS,
            handler=verification,
            grouped=False,
        ),
        Subscriber(
            name=BOOKING_SUBSCRIBER,
            handles=(AppointmentRequested, AppointmentSlotHeld, AppointmentDecided),
            predicate=lambda event: (
                not isinstance(event, AppointmentDecided)
                or event.status == AppointmentStatus.CANCELLED
            ),
            handler=booking,
            grouped=False,
        ),
        Subscriber(
            name="nhs.appointments",
            handles=(AccountBlocked, AccountClosed, AccountRestored),
            handler=account_status,
            grouped=False,
        ),
    )
