"""Finds free slots of practices and checks the slots that a citizen has chosen."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from govid.bus import Clock, InvalidRequest, Outage, Principal
from govid.nhs.answer_cache import SingleFlightCache
from govid.nhs.errors import BookingDisabled, PracticesUnavailable, SlotTaken, StepUpRequired
from govid.nhs.local_time import UK_TIME_ZONE
from govid.nhs.registry.practices import PracticeClient, PracticeRuleBroken
from govid.nhs.repository import SlotHoldRepository
from govid.nhs.schemas import SlotView
from govid.nhs.slots import FreeSlot

DAYS_AHEAD = 14
CACHE_SECONDS = 10.0
"""How long the free slots of one practice and day are cached."""
REFRESH_AFTER_SECONDS = 1.0
"""Age from which the cache is refreshed if it lacks a chosen slot."""
REQUIRED_ASSURANCE = "P1"


class SlotAvailability:
    """Fetches free slots from practices, always outside a transaction."""

    def __init__(
        self,
        practices: PracticeClient | None,
        services: Mapping[str, str],
        holds: SlotHoldRepository,
        clock: Clock,
    ) -> None:
        """Ask *practices*; *services* maps a specialty to a number in the Directory of Services."""
        self._practices = practices
        self._services = {name.casefold(): (name, number) for name, number in services.items()}
        self._holds = holds
        self._clock = clock
        self._cache = SingleFlightCache[tuple[str, date], Sequence[FreeSlot]](CACHE_SECONDS)

    def find_practice(self, specialty: str, *, place: str = "body") -> tuple[str, str]:
        """Return the name of the specialty as configured, and the practice that offers it.

        Raises:
            BookingDisabled: no NHS is connected.
            Invalid: no practice offers the specialty.
        """
        if self._practices is None:
            raise BookingDisabled
        found = self._services.get(specialty.strip().casefold())
        if found is None:
            raise InvalidRequest.for_field(
                "specialty", "no practice has it", "specialty_unknown", place=place
            )
        return found

    async def list_free_slots(
        self, specialty: str, day: date, principal: Principal
    ) -> Sequence[SlotView]:
        """Return the slots that are free on *day* and held by no appointment.

        Raises:
            StepUpRequired: the principal is not verified.
            GovidError: no practice offers *specialty*, or it cannot be reached.
        """
        name, service = self.find_practice(specialty, place="query")
        # The string order of P0, P1 and P2 is the order of the levels.
        if principal.assurance < REQUIRED_ASSURANCE:
            raise StepUpRequired
        slots = await self._fetch_cached(service, day)
        held = await self._holds.find_held(service, [one.id for one in slots])
        return [
            SlotView(slot_id=one.id, specialty=name, starts_at=one.start, ends_at=one.end)
            for one in slots
            if one.id not in held
        ]

    async def resolve_chosen_slots(
        self, service: str, day: date, slot_ids: Sequence[str]
    ) -> Sequence[FreeSlot]:
        """Return the slots with these ids as the practice offers them, in order of time.

        Raises:
            Invalid: the day has passed, or the slots are not adjacent.
            SlotTaken: one of them is not free.
            GovidError: the practice cannot be reached.
        """
        if day < self._today():
            raise InvalidRequest.for_field("date", "has passed", "past")
        free = {one.id: one for one in await self._fetch_cached(service, day)}
        if not free.keys() >= set(slot_ids):
            # They may have become free since the practice was asked last.
            latest = await self._fetch_cached(service, day, max_age=REFRESH_AFTER_SECONDS)
            free = {one.id: one for one in latest}
        if not free.keys() >= set(slot_ids):
            raise SlotTaken
        slots = sorted((free[one] for one in slot_ids), key=lambda one: one.start)
        if any(one.end != other.start for one, other in pairwise(slots)):
            raise InvalidRequest.for_field(
                "slots", "must follow each other without a gap", "not_adjacent"
            )
        return slots

    def has_passed(self, moment: datetime) -> bool:
        """Tell whether *moment* is now or in the past."""
        return moment <= self._clock.now()

    async def list_free_slots_from(self, service: str, moment: datetime) -> Sequence[FreeSlot]:
        """Return the free and unheld slots of that day from *moment* on, the earliest first.

        Raises:
            Outage: the practice cannot be reached.
        """
        try:
            slots = await self._fetch_from_practice(service, moment.astimezone(UK_TIME_ZONE).date())
        except PracticeRuleBroken as refusal:
            # The practice does not know the service: the settings are wrong, not the request.
            raise Outage("nhs") from refusal
        held = await self._holds.find_held(service, [one.id for one in slots])
        ahead = [one for one in slots if one.start >= moment and one.id not in held]
        return sorted(ahead, key=lambda one: one.start)

    async def _fetch_cached(
        self, service: str, day: date, *, max_age: float | None = None
    ) -> Sequence[FreeSlot]:
        """Return the free slots, cached for some seconds."""
        try:
            slots = await self._cache.get(
                (service, day), lambda: self._fetch_from_practice(service, day), max_age=max_age
            )
        except (Outage, PracticeRuleBroken) as failure:
            raise PracticesUnavailable from failure
        now = self._clock.now()
        return [one for one in slots if one.start > now]

    async def _fetch_from_practice(self, service: str, day: date) -> Sequence[FreeSlot]:
        if self._practices is None:
            raise BookingDisabled
        today = self._today()
        if not today <= day <= today + timedelta(days=DAYS_AHEAD):
            return ()
        since, until = _midnight(day), _midnight(day + timedelta(days=1))
        now = self._clock.now()
        found = await self._practices.fetch_free_slots(service, max(since, now), until)
        return [one for one in found if one.start > now]

    def _today(self) -> date:
        return self._clock.now().astimezone(UK_TIME_ZONE).date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UK_TIME_ZONE).astimezone(UTC)
