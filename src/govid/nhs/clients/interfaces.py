"""Declares the interfaces to the NHS: patient registry, appointment provider and practices.

Their value types are here too. The other files of this package implement them.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from govid.bus.events import AppointmentRequested
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.shared.verification import IdentityClaim, VerificationFinding
from govid.nhs.slots import AppointmentDecision, AppointmentStatus, FreeSlot


class RegisteredPatient(RedactedStruct, frozen=True, kw_only=True):
    """Patient as recorded in the registry; the number may supersede the claimed one."""

    nhs_number: str
    name: str
    birth_date: date | None = None


class RegistryFinding(VerificationFinding, frozen=True, kw_only=True):
    """Result of the registry. `patient` is set only if the claim was matched."""

    patient: RegisteredPatient | None = None


class PatientRegistry(Protocol):
    """Registry of patients. Expected failures are outcomes and not exceptions."""

    async def verify(self, claim: IdentityClaim) -> RegistryFinding:
        """Verify that the claimed number belongs to the claimant."""


class AppointmentProvider(Protocol):
    """Decides appointment requests that name no slot."""

    async def book(self, request: AppointmentRequested) -> AppointmentDecision:
        """Decide *request*; repeating it for the same appointment gives the same decision.

        Raises:
            Outage: the provider is unavailable; nothing is decided.
        """


class BookingOrder(RedactedStruct, frozen=True, kw_only=True):
    """Booking to be made. `id` becomes the appointment's id, which makes a repetition safe."""

    id: str
    """A UUID."""
    patient: str
    slots: Sequence[FreeSlot]
    """Adjacent slots of one practice."""
    created: datetime
    description: str = ""


class PracticeAppointment(RedactedStruct, frozen=True, kw_only=True):
    """An appointment as stored at the practice. `resource` is its FHIR resource as received."""

    id: str
    service: str
    status: AppointmentStatus
    start: datetime | None
    end: datetime | None
    version: str | None
    resource: Mapping[str, Any]
    detail: str | None = None
    """Status as the practice sent it, such as `noshow`."""


class PracticeRefusal(Exception):
    """A practice refuses a request."""


class SlotGone(PracticeRefusal):
    """The slot has been taken."""


class AppointmentChanged(PracticeRefusal):
    """The appointment has changed since it was read."""


class UnknownAppointment(PracticeRefusal):
    """The practice has no such appointment."""


class PracticeRuleBroken(PracticeRefusal):
    """The request breaks a rule of the practice."""


class PracticeClient(Protocol):
    """Client of practices. Every method may also raise an `UpstreamFailure`."""

    async def fetch_free_slots(
        self, service: str, since: datetime, until: datetime
    ) -> Sequence[FreeSlot]:
        """Return the free slots between two times that are at most two weeks apart.

        Raises:
            PracticeRuleBroken: there is no such practice, or the times are too far apart.
        """

    async def book(self, order: BookingOrder) -> PracticeAppointment:
        """Book an appointment; repeating the same order returns the same appointment.

        Raises:
            SlotGone: the slot has been taken.
            PracticeRuleBroken: the order breaks a rule of the practice.
        """

    async def fetch_appointment(self, service: str, appointment_id: str) -> PracticeAppointment:
        """Return an appointment of the practice.

        Raises:
            UnknownAppointment: it does not exist.
        """

    async def move(
        self, appointment: PracticeAppointment, order: BookingOrder
    ) -> PracticeAppointment:
        """Move *appointment* to the slots of *order*.

        Raises:
            PracticeRefusal: it cannot be moved there, or has changed since it was read.
        """

    async def cancel(self, appointment: PracticeAppointment) -> PracticeAppointment:
        """Cancel *appointment* in the version that was read.

        Raises:
            PracticeRefusal: it has passed, or has changed since it was read.
        """
