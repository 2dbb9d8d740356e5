"""Events of GP appointments: the request and the decision."""

from datetime import datetime
from uuid import UUID

from govid.bus.personal import Personal
from govid.bus.shared.contract import Event


class AppointmentRequested(Event, frozen=True, kw_only=True):
    """A citizen requested an appointment."""

    appointment_id: UUID
    user_id: UUID
    patient_identifier: Personal[str]
    requested_datetime: datetime
    doctor_specialty: Personal[str]
    reason: Personal[str | None] = None
    timestamp: datetime
    correlation_id: str


class AppointmentSlotHeld(Event, frozen=True, kw_only=True):
    """A slot is held for a request that named none. The event is internal."""

    appointment_id: UUID
    user_id: UUID
    timestamp: datetime


class AppointmentDecided(Event, frozen=True, kw_only=True):
    """The appointment reached a status: CONFIRMED, REJECTED, CANCELLED or COMPLETED."""

    appointment_id: UUID
    user_id: UUID
    status: str
    confirmed_datetime: datetime | None = None
    confirmation_details: Personal[str | None] = None
    rejection_reason: Personal[str | None] = None
    timestamp: datetime
