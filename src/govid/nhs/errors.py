"""What the NHS module refuses."""

from govid.bus import GovidError, Kind


class AccountIsBlocked(GovidError):
    """Account is blocked."""

    code = "account-blocked"
    kind = Kind.FORBIDDEN


class StepUpRequired(GovidError):
    """Whoever books at a practice has to be known: have your NHS number verified first."""

    code = "step-up-required"
    kind = Kind.FORBIDDEN


class NotYourNumber(GovidError):
    """You can book for yourself only, by the number in the NHS's own record of you."""

    code = "nhs-number-not-yours"
    kind = Kind.FORBIDDEN


class PatientRecordNotFound(GovidError):
    """There is no such record among those that you filed."""

    code = "patient-record-not-found"
    kind = Kind.NOT_FOUND


class NumberOfAnother(GovidError):
    """This NHS number was verified for another account."""

    code = "nhs-number-of-another"
    kind = Kind.FORBIDDEN


class AppointmentNotFound(GovidError):
    """There is no such appointment."""

    code = "appointment-not-found"
    kind = Kind.NOT_FOUND


class BookingIsOff(GovidError):
    """Appointments cannot be booked here, as govid is not connected to the NHS."""

    code = "booking-off"
    kind = Kind.UNAVAILABLE


class PracticesAreAway(GovidError):
    """The practices cannot be asked at the moment; please try again shortly."""

    code = "practices-away"
    kind = Kind.UNAVAILABLE


class SlotTaken(GovidError):
    """That time is not free, or not free any more."""

    code = "slot-taken"
    kind = Kind.CONFLICT


class AppointmentsOverlap(GovidError):
    """You have another appointment at that time."""

    code = "appointments-overlap"
    kind = Kind.CONFLICT


class AppointmentIsUndecided(GovidError):
    """The practice has not answered yet; an appointment can be moved once it has."""

    code = "appointment-undecided"
    kind = Kind.CONFLICT


class AppointmentIsOver(GovidError):
    """The appointment has passed, or was cancelled or rejected."""

    code = "appointment-over"
    kind = Kind.CONFLICT


class AppointmentHasNoSlot(GovidError):
    """Only an appointment in a slot can be moved; cancel this one and book another."""

    code = "appointment-without-slot"
    kind = Kind.CONFLICT


class AppointmentHasChanged(GovidError):
    """The appointment has changed since you read it; please read it again."""

    code = "appointment-changed"
    kind = Kind.CHANGED


class VersionNeeded(GovidError):
    """`If-Match` is needed here, with the `ETag` of the appointment as you read it."""

    code = "if-match-needed"
    kind = Kind.UNCONDITIONAL


class KeyReused(GovidError):
    """This `Idempotency-Key` belongs to another request."""

    code = "idempotency-key-reused"
    kind = Kind.INVALID
