"""What the NHS module refuses."""

from govid.bus import GovidError, Kind


class AccountIsBlocked(GovidError):
    """Account is blocked."""

    code = "account-blocked"
    kind = Kind.FORBIDDEN


class AppointmentNotFound(GovidError):
    """There is no such appointment."""

    code = "appointment-not-found"
    kind = Kind.NOT_FOUND


class BookingIsOff(GovidError):
    """Appointments cannot be booked here, as govid is not connected to the NHS."""

    code = "booking-off"
    kind = Kind.UNAVAILABLE
