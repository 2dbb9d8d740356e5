"""Errors of the NHS module. The first line of each docstring is the client's message."""

from govid.bus import ErrorKind, GovidError


class StepUpRequired(GovidError):
    """Booking at a practice requires a verified NHS number. Please verify yours first."""

    code = "step-up-required"
    kind = ErrorKind.FORBIDDEN


class NhsNumberNotYours(GovidError):
    """You can only book for yourself, with the NHS number in your own NHS record."""

    code = "nhs-number-not-yours"
    kind = ErrorKind.FORBIDDEN


class PatientRecordNotFound(GovidError):
    """There is no such record among the patient records that you have filed."""

    code = "patient-record-not-found"
    kind = ErrorKind.NOT_FOUND


class NhsNumberVerifiedElsewhere(GovidError):
    """This NHS number has been verified for another account."""

    code = "nhs-number-of-another"
    kind = ErrorKind.FORBIDDEN


class AppointmentNotFound(GovidError):
    """There is no such appointment."""

    code = "appointment-not-found"
    kind = ErrorKind.NOT_FOUND


class BookingDisabled(GovidError):
    """Appointments cannot be booked here because govid is not connected to the NHS."""

    code = "booking-off"
    kind = ErrorKind.UNAVAILABLE


class PracticesUnavailable(GovidError):
    """The practices cannot be reached at the moment. Please try again shortly."""

    code = "practices-away"
    kind = ErrorKind.UNAVAILABLE


class SlotTaken(GovidError):
    """That time is not available, or is no longer available."""

    code = "slot-taken"
    kind = ErrorKind.CONFLICT


class AppointmentsOverlap(GovidError):
    """You have another appointment at that time."""

    code = "appointments-overlap"
    kind = ErrorKind.CONFLICT


class AppointmentIsUndecided(GovidError):
    """The practice has not answered yet. You can move the appointment after it has answered."""

    code = "appointment-undecided"
    kind = ErrorKind.CONFLICT


class AppointmentIsOver(GovidError):
    """The appointment has passed, or was cancelled or rejected."""

    code = "appointment-over"
    kind = ErrorKind.CONFLICT


class AppointmentHasNoSlot(GovidError):
    """Only an appointment in a slot can be moved. Cancel this one and book another."""

    code = "appointment-without-slot"
    kind = ErrorKind.CONFLICT


class AppointmentHasChanged(GovidError):
    """The appointment has changed since you read it. Please read it again."""

    code = "appointment-changed"
    kind = ErrorKind.CHANGED


class IfMatchRequired(GovidError):
    """`If-Match` is required, with the `ETag` of the appointment as you read it."""

    code = "if-match-needed"
    kind = ErrorKind.UNCONDITIONAL


class IdempotencyKeyReused(GovidError):
    """This `Idempotency-Key` has been used for a different request."""

    code = "idempotency-key-reused"
    kind = ErrorKind.INVALID
