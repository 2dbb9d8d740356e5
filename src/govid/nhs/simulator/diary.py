"""The diaries of the simulated practices: slots, and the appointments in them.

The rules are GP Connect's, the clearest that the NHS has published: nothing in the past, nothing
twice, several slots only in a row, and a cancellation changes nothing else.
Source: nhsconnect/gpconnect, pages/appointments.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import msgspec

from govid.bus import Clock

SERVICES: Mapping[str, str] = {
    "2000099999": "General practice",
    "2000011147": "Cardiology",
    "2000011148": "Dermatology",
    "2000011149": "Orthopaedics",
}
"""What can be booked, by the number in the Directory of Services."""
ODS = "Y12345"
"""Who runs all of it: an organisation that the NHS made up."""
ENDPOINT = "2000000001"
"""The number of whoever books, where nobody listens."""

DAYS_AHEAD = 14
SLOT = timedelta(minutes=15)
_HOURS = (9, 10, 11, 13, 14, 15, 16)
_PER_HOUR = 4
_FRIDAY = 4
_PUBLISHED_IDS = ("slot001", "slot002", "deb4c4b3-870b-4599-84df-5e54cef7afda")
_LONGEST_DESCRIPTION = 100
_LONGEST_COMMENT = 500


class Refused(Exception):
    """The diary says no; `reason` is a word of ours, not a person's."""

    def __init__(self, reason: str) -> None:
        """Say why."""
        self.reason = reason
        super().__init__(reason)


class NotAllowed(Refused):
    """The request breaks a rule."""


class Unknown(Refused):
    """There is no such appointment or slot."""


class Taken(Refused):
    """The slot is gone, or the appointment has changed since it was read."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A quarter of an hour of one practice."""

    id: str
    service: str
    start: datetime

    @property
    def end(self) -> datetime:
        """When it is over."""
        return self.start + SLOT


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for."""

    id: str
    slots: tuple[str, ...]
    patient: str
    start: datetime
    end: datetime
    description: str = ""
    comment: str = ""

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Booking>"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An appointment as it stands in the diary."""

    booking: Booking
    status: str
    version: int
    created: datetime

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Entry>"


class Diary:
    """All practices' slots for the next two weeks, and who has booked them."""

    def __init__(self, clock: Clock) -> None:
        """Let time pass by *clock*."""
        self._clock = clock
        self._slots: dict[str, Slot] = {}
        self._filled: set[date] = set()
        self._entries: dict[str, Entry] = {}
        self._ids = iter(_PUBLISHED_IDS)
        self._fill()

    def free(self, service: str, since: datetime, until: datetime) -> list[Slot]:
        """Return the free slots of *service* that lie wholly between the two times."""
        self._fill()
        taken = self._taken()
        return [
            one
            for one in self._slots.values()
            if one.service == service
            and since <= one.start
            and one.end <= until
            and one.start > self._clock.now()
            and one.id not in taken
        ]

    def slot(self, slot_id: str) -> Slot | None:
        """Return a slot, free or not."""
        self._fill()
        return self._slots.get(slot_id)

    def get(self, appointment_id: str) -> Entry:
        """Return an appointment.

        Raises:
            Unknown: there is none.
        """
        entry = self._entries.get(appointment_id)
        if entry is None:
            raise Unknown("no such appointment")
        return entry

    def of_patient(self, number: str) -> list[Entry]:
        """Return all appointments of the patient *number*."""
        return [one for one in self._entries.values() if one.booking.patient == number]

    def book(self, wish: Booking) -> Entry:
        """Book what *wish* asks for.

        Raises:
            NotAllowed: it breaks a rule.
            Taken: somebody was faster.
        """
        if wish.id in self._entries:
            raise Taken("appointment exists")
        self._check(wish, but=None)
        entry = Entry(booking=wish, status="booked", version=1, created=self._clock.now())
        self._entries[wish.id] = entry
        return entry

    def change(self, wish: Booking, version: int | None) -> Entry:
        """Move an appointment to other slots, and free the ones it had.

        Raises:
            Refused: it is none, has changed since *version*, or the wish cannot be granted.
        """
        entry = self._open(wish.id, version)
        self._check(wish, but=wish.id)
        return self._put(entry, booking=wish)

    def cancel(self, wish: Booking, version: int | None) -> Entry:
        """Cancel an appointment, and free its slots. Nothing else may be changed with it.

        Raises:
            Refused: it is none, has changed since *version*, or lies in the past.
        """
        entry = self._open(wish.id, version)
        if wish != entry.booking:
            raise NotAllowed("a cancellation changes nothing else")
        return self._put(entry, status="cancelled")

    def _open(self, appointment_id: str, version: int | None) -> Entry:
        entry = self.get(appointment_id)
        if version is not None and version != entry.version:
            raise Taken("stale version")
        if entry.status != "booked":
            raise Taken("not booked any more")
        if entry.booking.start <= self._clock.now():
            raise NotAllowed("in the past")
        return entry

    def _put(self, entry: Entry, **changes: object) -> Entry:
        changed = msgspec.structs.replace(entry, version=entry.version + 1, **changes)
        self._entries[entry.booking.id] = changed
        return changed

    def _check(self, wish: Booking, *, but: str | None) -> None:
        slots = [self.slot(one) for one in wish.slots]
        known = [one for one in slots if one is not None]
        if not known or len(known) != len(slots):
            raise NotAllowed("no such slot")
        if len(wish.description) > _LONGEST_DESCRIPTION or len(wish.comment) > _LONGEST_COMMENT:
            raise NotAllowed("text too long")
        _check_row(known)
        if (wish.start, wish.end) != (known[0].start, known[-1].end):
            raise NotAllowed("times are not those of the slots")
        if wish.start <= self._clock.now():
            raise NotAllowed("in the past")
        if not self._taken(but).isdisjoint(wish.slots):
            raise Taken("slot gone")
        if any(
            one.status == "booked"
            and one.booking.id != but
            and one.booking.start < wish.end
            and wish.start < one.booking.end
            for one in self.of_patient(wish.patient)
        ):
            raise NotAllowed("overlaps another appointment of this patient")

    def _taken(self, but: str | None = None) -> set[str]:
        return {
            slot
            for one in self._entries.values()
            if one.status == "booked" and one.booking.id != but
            for slot in one.booking.slots
        }

    def _fill(self) -> None:
        """Open the days that have come within two weeks. Nobody works at the weekend."""
        today = self._clock.now().astimezone(UTC).date()
        days = (today + timedelta(days=ahead) for ahead in range(1, DAYS_AHEAD + 1))
        for day in days:
            if day in self._filled or day.weekday() > _FRIDAY:
                continue
            self._filled.add(day)
            for service in SERVICES:
                for start in _starts(day):
                    slot_id = next(self._ids, None) or f"{service}-{start:%Y%m%dT%H%M}"
                    self._slots[slot_id] = Slot(id=slot_id, service=service, start=start)


def _check_row(slots: Sequence[Slot]) -> None:
    if any(
        one.end != other.start or one.service != other.service for one, other in pairwise(slots)
    ):
        raise NotAllowed("slots are not in a row")


def _starts(day: date) -> list[datetime]:
    return [
        datetime.combine(day, time(hour), UTC) + SLOT * quarter
        for hour in _HOURS
        for quarter in range(_PER_HOUR)
    ]
