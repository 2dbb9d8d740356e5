"""Books appointments at practices and finds free slots there; slots are cached for seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from textwrap import shorten
from time import monotonic
from typing import Generic, TypeVar

from govid.bus import Clock, InvalidRequest, Outage, Principal
from govid.bus.shared.assurance import IdentityAssurance, require_assurance
from govid.bus.shared.plain_text import replace_control_characters
from govid.nhs.clients.interfaces import (
    BookingOrder,
    PracticeAppointment,
    PracticeClient,
    PracticeRefusal,
    PracticeRuleBroken,
    SlotGone,
    UnknownAppointment,
)
from govid.nhs.errors import BookingDisabled, PracticesUnavailable, SlotTaken, StepUpRequired
from govid.nhs.repository import SlotHold, SlotHoldRepository
from govid.nhs.schemas import SlotView
from govid.nhs.slots import (
    UK_TIME_ZONE,
    AppointmentDecision,
    AppointmentStatus,
    FreeSlot,
    format_uk_time,
)

SLOT_GONE_REASON = "The slot is not free any more"
RULE_BROKEN_REASON = "The practice does not grant this time"
PRACTICE_CANCELLED_REASON = "The practice has cancelled the appointment"
_LONGEST_DESCRIPTION = 100


class PracticeBookings:
    """Books, moves or cancels the appointment at the practice, to match the stored appointment."""

    def __init__(self, practice_client: PracticeClient | None) -> None:
        """Ask *practice_client*. Without a client every request is an outage."""
        self._practice_client = practice_client

    async def book_or_move(self, hold: SlotHold) -> AppointmentDecision | None:
        """Book or move the appointment; return None while the practice has not decided.

        The message carries the appointment's own id and creation time, so a repeated one is
        identical.

        Raises:
            Outage: the practice cannot be reached; nothing is decided.
        """
        practice_client = self._require_client()
        order = BookingOrder(
            id=str(hold.appointment_id),
            # A request without a slot stores the number as written and the reason in full.
            patient="".join(hold.patient.split()),
            slots=hold.requested_slots,
            created=hold.created_at,
            description=shorten(
                replace_control_characters(hold.reason or ""),
                _LONGEST_DESCRIPTION,
                placeholder=" ...",
            ),
        )
        try:
            if hold.confirmed_datetime is None:
                found = await practice_client.book(order)
            else:
                found = await _move(practice_client, order)
        except SlotGone:
            return _build_rejection(hold, SLOT_GONE_REASON)
        except PracticeRefusal:
            return _build_rejection(hold, RULE_BROKEN_REASON)
        match found.status:
            case AppointmentStatus.REQUESTED:
                return None
            case AppointmentStatus.CONFIRMED:
                start = hold.requested_slots[0].start
                return AppointmentDecision(
                    status=AppointmentStatus.CONFIRMED,
                    confirmed_datetime=start,
                    confirmation_details=f"{hold.specialty}, {format_uk_time(start)}",
                )
        if hold.confirmed_datetime is None:
            return _build_rejection(hold, RULE_BROKEN_REASON)
        return AppointmentDecision(
            status=AppointmentStatus.CANCELLED, rejection_reason=PRACTICE_CANCELLED_REASON
        )

    async def cancel(self, hold: SlotHold) -> None:
        """Cancel the appointment at the practice, unless it has passed there.

        Raises:
            Outage: the practice cannot be reached.
            AppointmentChanged: it changed meanwhile and must be read again.
        """
        practice_client = self._require_client()
        try:
            found = await practice_client.fetch_appointment(hold.service, str(hold.appointment_id))
            if found.status in (AppointmentStatus.REQUESTED, AppointmentStatus.CONFIRMED):
                await practice_client.cancel(found)
        except (UnknownAppointment, PracticeRuleBroken):
            return

    def _require_client(self) -> PracticeClient:
        if self._practice_client is None:
            raise Outage("nhs")
        return self._practice_client


async def _move(practice_client: PracticeClient, order: BookingOrder) -> PracticeAppointment:
    service, start, end = order.slots[0].service, order.slots[0].start, order.slots[-1].end
    try:
        found = await practice_client.fetch_appointment(service, order.id)
    except UnknownAppointment:
        return await practice_client.book(order)
    is_there = (found.start, found.end) == (start, end)
    if is_there or found.status is not AppointmentStatus.CONFIRMED:
        return found
    return await practice_client.move(found, order)


def _build_rejection(hold: SlotHold, reason: str) -> AppointmentDecision:
    """Reject a first request. After a refused move the confirmed appointment stays."""
    if hold.confirmed_datetime is None:
        return AppointmentDecision(status=AppointmentStatus.REJECTED, rejection_reason=reason)
    return AppointmentDecision(
        status=AppointmentStatus.CONFIRMED,
        confirmed_datetime=hold.confirmed_datetime,
        confirmation_details=hold.confirmation_details,
        rejection_reason=reason,
    )


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlightCache(Generic[K, V]):
    """Caches values by key and starts one fetch for concurrent callers of the same key.

    A failed fetch is not cached; it raises for every caller that waited for it. Expired entries are
    removed on each access, so the size is bounded by the keys of the last seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        """Cache a value for *seconds*; *clock* must be monotonic."""
        self._seconds = seconds
        self._clock = clock
        self._entries: dict[K, tuple[float, asyncio.Task[V]]] = {}

    async def get(
        self, key: K, fetch: Callable[[], Awaitable[V]], *, max_age: float | None = None
    ) -> V:
        """Return the value of *key*; call *fetch* if none is cached.

        With *max_age*, a cached value that is older than so many seconds is fetched again.
        """
        now = self._clock()
        self._entries = {
            other: cached
            for other, cached in self._entries.items()
            if now < cached[0] + self._seconds and not _has_failed(cached[1])
        }
        cached = self._entries.get(key)
        if cached is None or (max_age is not None and now >= cached[0] + max_age):
            fetching = asyncio.create_task(_call(fetch))
            # All callers may have been cancelled. Reading the exception keeps asyncio from logging
            # it as never retrieved.
            fetching.add_done_callback(_has_failed)
            self._entries[key] = now, fetching
        # The cancellation of one caller must not cancel the fetch of the others.
        return await asyncio.shield(self._entries[key][1])


async def _call(fetch: Callable[[], Awaitable[V]]) -> V:
    return await fetch()


def _has_failed(task: asyncio.Task[V]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


DAYS_AHEAD = 14
CACHE_SECONDS = 10.0
"""How long the free slots of one practice and day are cached."""
REFRESH_AFTER_SECONDS = 1.0
"""Age from which the cache is refreshed if it lacks a chosen slot."""
REQUIRED_ASSURANCE: IdentityAssurance = "P1"


class SlotAvailability:
    """Fetches free slots from practices, always outside a transaction."""

    def __init__(
        self,
        practice_client: PracticeClient | None,
        services: Mapping[str, str],
        holds: SlotHoldRepository,
        clock: Clock,
    ) -> None:
        """Ask *practice_client*.

        *services* maps a specialty to its number in the Directory of Services.
        """
        self._practice_client = practice_client
        self._services = {name.casefold(): (name, number) for name, number in services.items()}
        self._holds = holds
        self._clock = clock
        self._cache = SingleFlightCache[tuple[str, date], Sequence[FreeSlot]](CACHE_SECONDS)

    def find_practice(self, specialty: str, *, place: str = "body") -> tuple[str, str]:
        """Return the name of the specialty as configured, and the practice that offers it.

        Raises:
            BookingDisabled: no NHS is connected.
            InvalidRequest: no practice offers the specialty.
        """
        if self._practice_client is None:
            raise BookingDisabled
        found = self._services.get(specialty.strip().casefold())
        if found is None:
            raise InvalidRequest.for_field(
                "specialty", "no practice has it", "specialty_unknown", location=place
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
        require_assurance(principal, REQUIRED_ASSURANCE, StepUpRequired)
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
            InvalidRequest: the day has passed, or the slots are not adjacent.
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
        if self._practice_client is None:
            raise BookingDisabled
        today = self._today()
        if not today <= day <= today + timedelta(days=DAYS_AHEAD):
            return ()
        since, until = _midnight(day), _midnight(day + timedelta(days=1))
        now = self._clock.now()
        found = await self._practice_client.fetch_free_slots(service, max(since, now), until)
        return [one for one in found if one.start > now]

    def _today(self) -> date:
        return self._clock.now().astimezone(UK_TIME_ZONE).date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UK_TIME_ZONE).astimezone(UTC)
