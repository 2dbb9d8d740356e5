"""Declares the interfaces to the NHS: patient registry, appointment provider and practices.

Their value types are here too. The other files of this package implement them.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from govid.bus.events import AppointmentRequested
from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.privacy import RedactedStruct
from govid.nhs.slots import AppointmentDecision, AppointmentStatus, FreeSlot


class VerificationOutcome(StrEnum):
    """Outcome of a verification.

    The first five are results, and each uses one of the account's attempts. To the account holder
    all of them but the first look the same. The others are no results: the claim has too few
    facts, the registry is unavailable, or it rejects govid's credentials.
    """

    MATCH = "match"
    MISMATCH = "mismatch"
    DECEASED = "deceased"
    RESTRICTED = "restricted"
    INCOMPLETE = "incomplete"
    INSUFFICIENT = "insufficient"
    UNAVAILABLE = "unavailable"
    CREDENTIALS_REJECTED = "credentials_rejected"

    @property
    def is_answer(self) -> bool:
        """Whether the registry has decided about the claim."""
        return self not in {
            VerificationOutcome.INSUFFICIENT,
            VerificationOutcome.UNAVAILABLE,
            VerificationOutcome.CREDENTIALS_REJECTED,
        }


class IdentityClaim(RedactedStruct, frozen=True, kw_only=True):
    """An NHS number that an account holder claims, with the claimed facts."""

    nhs_number: str
    facts: ClaimedFacts | None = None
    correlation_id: str | None = None


class RegisteredPatient(RedactedStruct, frozen=True, kw_only=True):
    """Patient as recorded in the registry; the number may supersede the claimed one."""

    nhs_number: str
    name: str
    birth_date: date | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence for an outcome, without personal data.

    `strength` and `validity` are scores from 0 to 4 (Good Practice Guide 45). `transaction` is the
    registry's own id of the request. A contra-indicator is a reason for doubt.
    """

    method: str
    strength: int
    validity: int
    transaction: str | None = None
    contra_indicators: tuple[str, ...] = ()


class VerificationFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the registry. `patient` is set only if the claim was matched."""

    outcome: VerificationOutcome
    evidence: Evidence | None = None
    patient: RegisteredPatient | None = None


class PatientRegistry(Protocol):
    """Registry of patients. Expected failures are outcomes and not exceptions."""

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:
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
