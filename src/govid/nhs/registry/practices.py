"""What govid asks of the practices that see patients: free times, and appointments in them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from govid.nhs.decision import AppointmentStatus
from govid.nhs.slots import FreeSlot


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A booking that is wanted. `id` becomes the appointment's: asked again, it is the same."""

    id: str
    """A UUID."""
    patient: str
    slots: Sequence[FreeSlot]
    """In a row, of one practice."""
    created: datetime
    description: str = ""

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Order>"


class Appointment(msgspec.Struct, frozen=True, kw_only=True):
    """An appointment as the practice has it. `resource` is its own text of it."""

    id: str
    service: str
    status: AppointmentStatus
    start: datetime | None
    end: datetime | None
    version: str | None
    resource: Mapping[str, Any]
    detail: str | None = None
    """Which of several ends it came to: `noshow`."""

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Appointment>"


class PracticeRefusal(Exception):
    """A practice says no."""


class SlotGone(PracticeRefusal):
    """Somebody was faster."""


class AppointmentChanged(PracticeRefusal):
    """The appointment is not any more what it was when it was read."""


class NoSuchAppointment(PracticeRefusal):
    """The practice knows no such appointment."""


class NotGranted(PracticeRefusal):
    """The wish breaks one of the practice's rules."""


class Practices(Protocol):
    """Books appointments. All of it may also fail by an `UpstreamFailure`."""

    async def free_slots(
        self, service: str, since: datetime, until: datetime
    ) -> Sequence[FreeSlot]:
        """Return what is free between two times, which lie at most two weeks apart.

        Raises:
            NotGranted: there is no such practice, or the times are too far apart.
        """

    async def book(self, order: Order) -> Appointment:
        """Book; the same order again gives the same appointment.

        Raises:
            SlotGone: somebody was faster.
            NotGranted: it breaks a rule of the practice.
        """

    async def read(self, service: str, appointment_id: str) -> Appointment:
        """Return an appointment.

        Raises:
            NoSuchAppointment: there is none.
        """

    async def of_patient(self, service: str, nhs_number: str) -> Sequence[Appointment]:
        """Return a patient's appointments."""

    async def change(self, appointment: Appointment, order: Order) -> Appointment:
        """Move *appointment* to the slots of *order*.

        Raises:
            PracticeRefusal: it cannot be moved there, or is not any more what was read.
        """

    async def cancel(self, appointment: Appointment) -> Appointment:
        """Cancel *appointment* as it was read.

        Raises:
            PracticeRefusal: it has passed, or is not any more what was read.
        """
