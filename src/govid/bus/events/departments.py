"""Events of NHS and HMRC: appointments, patient records, death notices and tax consents."""

from datetime import datetime
from uuid import UUID

from msgspec import field

from govid.bus.events.identity import AccountEvent
from govid.bus.shared.contract import Event, IdentifierType
from govid.bus.shared.privacy import Personal


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


class PatientRecordRefused(AccountEvent, frozen=True, kw_only=True):
    """A patient record was refused: its NHS number is verified for another account."""


class DeathNotified(Event, frozen=True, kw_only=True):
    """The person with the identifier has died. A time without an offset is UTC."""

    identifier_type: IdentifierType = field(name="identifierType")
    identifier_value: Personal[str] = field(name="identifierValue")
    user_id: UUID | None = field(name="userId", default=None)
    reason: Personal[str | None] = None
    timestamp: datetime


class TaxConsentGranted(AccountEvent, frozen=True, kw_only=True):
    """The account holder gave consent at HMRC."""


class TaxConsentWithdrawn(AccountEvent, frozen=True, kw_only=True):
    """The account holder withdrew the consent, and govid deleted the consent tokens."""


class TaxConsentLapsed(AccountEvent, frozen=True, kw_only=True):
    """HMRC treats the consent as ended."""
