"""What practices have free, and what of it a citizen chooses."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from govid.bus import Clock, Invalid, Outage, Principal
from govid.nhs.answer_cache import AnswerCache
from govid.nhs.errors import BookingIsOff, PracticesAreAway, SlotTaken, StepUpRequired
from govid.nhs.local_time import LONDON
from govid.nhs.registry.practices import NotGranted, Practices
from govid.nhs.repository import Holds
from govid.nhs.schemas import SlotView
from govid.nhs.slots import FreeSlot

DAYS_AHEAD = 14
ANSWER_SECONDS = 10.0
"""How long a practice's answer about a day serves everybody who asks."""
RECHECK_SECONDS = 1.0
"""How old it may be for a slot that is not in it."""
LEAST_ASSURANCE = "P1"


class Openings:
    """Asks practices for their free slots, never inside a transaction."""

    def __init__(
        self, practices: Practices | None, services: Mapping[str, str], holds: Holds, clock: Clock
    ) -> None:
        """Ask *practices*; *services* are their numbers in the Directory, by specialty."""
        self._practices = practices
        self._services = {name.casefold(): (name, number) for name, number in services.items()}
        self._holds = holds
        self._clock = clock
        self._answers = AnswerCache[tuple[str, date], Sequence[FreeSlot]](ANSWER_SECONDS)

    def practice(self, specialty: str, *, place: str = "body") -> tuple[str, str]:
        """Return the specialty as it is written, and the practice that has it.

        Raises:
            BookingIsOff: nobody is connected.
            Invalid: nobody has it.
        """
        if self._practices is None:
            raise BookingIsOff
        found = self._services.get(specialty.strip().casefold())
        if found is None:
            raise Invalid.at("specialty", "no practice has it", "specialty_unknown", place=place)
        return found

    async def on(self, specialty: str, day: date, principal: Principal) -> Sequence[SlotView]:
        """Return what is free on *day* and nobody is about to get.

        Raises:
            StepUpRequired: the principal is not verified.
            GovidError: nobody has the *specialty*, or can be asked.
        """
        name, service = self.practice(specialty, place="query")
        # P0, P1 and P2 are in order as they are written.
        if principal.assurance < LEAST_ASSURANCE:
            raise StepUpRequired
        slots = await self._free(service, day)
        gone = await self._holds.among(service, [one.id for one in slots])
        return [
            SlotView(slot_id=one.id, specialty=name, starts_at=one.start, ends_at=one.end)
            for one in slots
            if one.id not in gone
        ]

    async def chosen(self, service: str, day: date, slot_ids: Sequence[str]) -> Sequence[FreeSlot]:
        """Return the slots with these ids, as the practice has them, in order of time.

        Raises:
            Invalid: the day has passed, or the slots are not in a row.
            SlotTaken: one of them is not free.
            GovidError: nobody can be asked.
        """
        if day < self._today():
            raise Invalid.at("date", "has passed", "past")
        free = {one.id: one for one in await self._free(service, day)}
        if not free.keys() >= set(slot_ids):
            # They may have become free since the practice was asked.
            latest = await self._free(service, day, newer_than=RECHECK_SECONDS)
            free = {one.id: one for one in latest}
        if not free.keys() >= set(slot_ids):
            raise SlotTaken
        slots = sorted((free[one] for one in slot_ids), key=lambda one: one.start)
        if any(one.end != other.start for one, other in pairwise(slots)):
            raise Invalid.at("slots", "must follow each other without a gap", "not_adjacent")
        return slots

    def has_passed(self, moment: datetime) -> bool:
        """Tell whether *moment* is over."""
        return moment <= self._clock.now()

    async def since(self, service: str, moment: datetime) -> Sequence[FreeSlot]:
        """Return what is free from *moment* on that day and held by nobody, the earliest first.

        Raises:
            Outage: the practice cannot be asked.
        """
        try:
            slots = await self._asked(service, moment.astimezone(LONDON).date())
        except NotGranted as refusal:
            # It knows no such service: the settings are wrong, and not whoever asks.
            raise Outage("nhs") from refusal
        gone = await self._holds.among(service, [one.id for one in slots])
        ahead = [one for one in slots if one.start >= moment and one.id not in gone]
        return sorted(ahead, key=lambda one: one.start)

    async def _free(
        self, service: str, day: date, *, newer_than: float | None = None
    ) -> Sequence[FreeSlot]:
        """Return what is free, as the practice said it within the last seconds."""
        try:
            slots = await self._answers.get(
                (service, day), lambda: self._asked(service, day), newer_than=newer_than
            )
        except (Outage, NotGranted) as failure:
            raise PracticesAreAway from failure
        now = self._clock.now()
        return [one for one in slots if one.start > now]

    async def _asked(self, service: str, day: date) -> Sequence[FreeSlot]:
        if self._practices is None:
            raise BookingIsOff
        today = self._today()
        if not today <= day <= today + timedelta(days=DAYS_AHEAD):
            return ()
        since, until = _midnight(day), _midnight(day + timedelta(days=1))
        now = self._clock.now()
        found = await self._practices.free_slots(service, max(since, now), until)
        return [one for one in found if one.start > now]

    def _today(self) -> date:
        return self._clock.now().astimezone(LONDON).date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LONDON).astimezone(UTC)
