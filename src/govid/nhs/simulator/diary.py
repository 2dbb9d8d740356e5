"""Diary of the simulated practices: slots, and the appointments in them.

The rules are those of GP Connect, the clearest that the NHS has published: no booking in the past,
no double booking, several slots must be adjacent, and a cancellation changes nothing else.
Source: nhsconnect/gpconnect, pages/appointments.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import msgspec

from govid.bus import Clock
from govid.bus.shared.privacy import RedactedStruct

SERVICES: Mapping[str, str] = {
    "2000099999": "General practice",
    "2000011147": "Cardiology",
    "2000011148": "Dermatology",
    "2000011149": "Orthopaedics",
}
"""Specialties by service number in the Directory of Services."""
SIMULATED_ODS = "Y12345"
"""ODS code of the organisation that runs all services; a fictitious code of the NHS."""
SIMULATED_ENDPOINT = "2000000001"
"""Service number of the booking party; nothing is served there."""

DAYS_AHEAD = 14
SLOT_LENGTH = timedelta(minutes=15)
_HOURS = (9, 10, 11, 13, 14, 15, 16)
_PER_HOUR = 4
_FRIDAY = 4
_PUBLISHED_IDS = ("slot001", "slot002", "deb4c4b3-870b-4599-84df-5e54cef7afda")
_LONGEST_DESCRIPTION = 100
_LONGEST_COMMENT = 500


class DiaryRefusal(Exception):
    """The diary refuses a request; `reason` contains no personal data."""

    def __init__(self, reason: str) -> None:
        """Refuse for *reason*."""
        self.reason = reason
        super().__init__(reason)


class BookingRuleBroken(DiaryRefusal):
    """The request breaks a booking rule."""


class UnknownEntry(DiaryRefusal):
    """There is no such appointment or slot."""


class EntryConflict(DiaryRefusal):
    """The slot is taken, or the appointment has changed since it was read."""


class DiarySlot(msgspec.Struct, frozen=True, kw_only=True):
    """Slot of 15 minutes at one practice."""

    id: str
    service: str
    start: datetime

    @property
    def end(self) -> datetime:
        """End of the slot."""
        return self.start + SLOT_LENGTH


class DiaryBooking(RedactedStruct, frozen=True, kw_only=True):
    """Content of a booking."""

    id: str
    slots: tuple[str, ...]
    patient: str
    start: datetime
    end: datetime
    description: str = ""
    comment: str = ""


class DiaryEntry(RedactedStruct, frozen=True, kw_only=True):
    """Appointment in the diary, with its status and version."""

    booking: DiaryBooking
    status: str
    version: int
    created: datetime


class Diary:
    """Slots of all practices for the next two weeks, and their appointments."""

    def __init__(self, clock: Clock) -> None:
        """Create the diary; *clock* determines which slots exist."""
        self._clock = clock
        self._slots: dict[str, DiarySlot] = {}
        self._days_with_slots: set[date] = set()
        self._entries: dict[str, DiaryEntry] = {}
        self._ids = iter(_PUBLISHED_IDS)
        self._add_slots()

    def list_free(self, service: str, since: datetime, until: datetime) -> list[DiarySlot]:
        """Return the free slots of *service* that are entirely between the two times."""
        self._add_slots()
        taken = self._taken_slots()
        return [
            one
            for one in self._slots.values()
            if one.service == service
            and since <= one.start
            and one.end <= until
            and one.start > self._clock.now()
            and one.id not in taken
        ]

    def find_slot(self, slot_id: str) -> DiarySlot | None:
        """Return a slot, free or booked."""
        self._add_slots()
        return self._slots.get(slot_id)

    def get(self, appointment_id: str) -> DiaryEntry:
        """Return an appointment.

        Raises:
            UnknownEntry: it does not exist.
        """
        entry = self._entries.get(appointment_id)
        if entry is None:
            raise UnknownEntry("no such appointment")
        return entry

    def list_for_patient(self, number: str) -> list[DiaryEntry]:
        """Return all appointments of the patient *number*."""
        return [one for one in self._entries.values() if one.booking.patient == number]

    def book(self, booking: DiaryBooking) -> DiaryEntry:
        """Book an appointment.

        Raises:
            BookingRuleBroken: the booking breaks a rule.
            EntryConflict: a slot is taken, or the appointment exists.
        """
        if booking.id in self._entries:
            raise EntryConflict("appointment exists")
        self._check_booking(booking, except_id=None)
        entry = DiaryEntry(booking=booking, status="booked", version=1, created=self._clock.now())
        self._entries[booking.id] = entry
        return entry

    def move(self, booking: DiaryBooking, version: int | None) -> DiaryEntry:
        """Move an appointment to other slots, and free the ones it had.

        Raises:
            DiaryRefusal: it does not exist, has changed since *version*, or cannot be moved there.
        """
        entry = self._get_changeable(booking.id, version)
        self._check_booking(booking, except_id=booking.id)
        return self._store(entry, booking=booking)

    def cancel(self, booking: DiaryBooking, version: int | None) -> DiaryEntry:
        """Cancel an appointment, and free its slots. Nothing else may be changed with it.

        Raises:
            DiaryRefusal: it does not exist, has changed since *version*, or is in the past.
        """
        entry = self._get_changeable(booking.id, version)
        if booking != entry.booking:
            raise BookingRuleBroken("a cancellation changes nothing else")
        return self._store(entry, status="cancelled")

    def _get_changeable(self, appointment_id: str, version: int | None) -> DiaryEntry:
        entry = self.get(appointment_id)
        if version is not None and version != entry.version:
            raise EntryConflict("stale version")
        if entry.status != "booked":
            raise EntryConflict("no longer booked")
        if entry.booking.start <= self._clock.now():
            raise BookingRuleBroken("in the past")
        return entry

    def _store(self, entry: DiaryEntry, **changes: object) -> DiaryEntry:
        changed = msgspec.structs.replace(entry, version=entry.version + 1, **changes)
        self._entries[entry.booking.id] = changed
        return changed

    def _check_booking(self, booking: DiaryBooking, *, except_id: str | None) -> None:
        slots = [self.find_slot(one) for one in booking.slots]
        known = [one for one in slots if one is not None]
        if not known or len(known) != len(slots):
            raise BookingRuleBroken("no such slot")
        if (
            len(booking.description) > _LONGEST_DESCRIPTION
            or len(booking.comment) > _LONGEST_COMMENT
        ):
            raise BookingRuleBroken("text too long")
        _check_adjacent(known)
        if (booking.start, booking.end) != (known[0].start, known[-1].end):
            raise BookingRuleBroken("times are not those of the slots")
        if booking.start <= self._clock.now():
            raise BookingRuleBroken("in the past")
        if not self._taken_slots(except_id).isdisjoint(booking.slots):
            raise EntryConflict("slot taken")
        if any(
            one.status == "booked"
            and one.booking.id != except_id
            and one.booking.start < booking.end
            and booking.start < one.booking.end
            for one in self.list_for_patient(booking.patient)
        ):
            raise BookingRuleBroken("overlaps another appointment of this patient")

    def _taken_slots(self, except_id: str | None = None) -> set[str]:
        return {
            slot
            for one in self._entries.values()
            if one.status == "booked" and one.booking.id != except_id
            for slot in one.booking.slots
        }

    def _add_slots(self) -> None:
        """Add slots for the days of the next two weeks, except weekends."""
        today = self._clock.now().astimezone(UTC).date()
        days = (today + timedelta(days=ahead) for ahead in range(1, DAYS_AHEAD + 1))
        for day in days:
            if day in self._days_with_slots or day.weekday() > _FRIDAY:
                continue
            self._days_with_slots.add(day)
            for service in SERVICES:
                for start in _starts(day):
                    slot_id = next(self._ids, None) or f"{service}-{start:%Y%m%dT%H%M}"
                    self._slots[slot_id] = DiarySlot(id=slot_id, service=service, start=start)


def _check_adjacent(slots: Sequence[DiarySlot]) -> None:
    if any(
        one.end != other.start or one.service != other.service for one, other in pairwise(slots)
    ):
        raise BookingRuleBroken("slots are not adjacent")


def _starts(day: date) -> list[datetime]:
    return [
        datetime.combine(day, time(hour), UTC) + SLOT_LENGTH * quarter
        for hour in _HOURS
        for quarter in range(_PER_HOUR)
    ]
