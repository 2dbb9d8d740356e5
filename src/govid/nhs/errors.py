"""Errors of the NHS module. The first line of each docstring is the client's message."""

from govid.bus import GovidError, Kind


class AccountIsBlocked(GovidError):
    """Account is blocked."""

    code = "account-blocked"
    kind = Kind.FORBIDDEN


class StepUpRequired(GovidError):
    """Booking at a practice requires a verified NHS number. Please verify yours first."""

    code = "step-up-required"
    kind = Kind.FORBIDDEN


class NotYourNumber(GovidError):
    """You can only book for yourself, with the NHS number in your own NHS record."""

    code = "nhs-number-not-yours"
    kind = Kind.FORBIDDEN


class PatientRecordNotFound(GovidError):
    """There is no such record among the patient records that you have filed."""

    code = "patient-record-not-found"
    kind = Kind.NOT_FOUND


class NumberOfAnother(GovidError):
    """This NHS number has been verified for another account."""

    code = "nhs-number-of-another"
    kind = Kind.FORBIDDEN


class AppointmentNotFound(GovidError):
    """There is no such appointment."""

    code = "appointment-not-found"
    kind = Kind.NOT_FOUND


class BookingIsOff(GovidError):
    """Appointments cannot be booked here because govid is not connected to the NHS."""

    code = "booking-off"
    kind = Kind.UNAVAILABLE


class PracticesAreAway(GovidError):
    """The practices cannot be reached at the moment. Please try again shortly."""

    code = "practices-away"
    kind = Kind.UNAVAILABLE


class SlotTaken(GovidError):
    """That time is not available, or is no longer available."""

    code = "slot-taken"
    kind = Kind.CONFLICT


class AppointmentsOverlap(GovidError):
    """You have another appointment at that time."""

    code = "appointments-overlap"
    kind = Kind.CONFLICT


class AppointmentIsUndecided(GovidError):
    """The practice has not answered yet. You can move the appointment after it has answered."""

    code = "appointment-undecided"
    kind = Kind.CONFLICT


class AppointmentIsOver(GovidError):
    """The appointment has passed, or was cancelled or rejected."""

    code = "appointment-over"
    kind = Kind.CONFLICT


class AppointmentHasNoSlot(GovidError):
    """Only an appointment in a slot can be moved. Cancel this one and book another."""

    code = "appointment-without-slot"
    kind = Kind.CONFLICT


class AppointmentHasChanged(GovidError):
    """The appointment has changed since you read it. Please read it again."""

    code = "appointment-changed"
    kind = Kind.CHANGED


class VersionNeeded(GovidError):
    """`If-Match` is required, with the `ETag` of the appointment as you read it."""

    code = "if-match-needed"
    kind = Kind.UNCONDITIONAL


class KeyReused(GovidError):
    """This `Idempotency-Key` has been used for a different request."""

    code = "idempotency-key-reused"
    kind = Kind.INVALID
