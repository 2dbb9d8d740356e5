"""Books, moves and cancels one appointment at its practice; repeating it changes nothing."""

from textwrap import shorten

from govid.bus import Outage
from govid.bus.shared.plain_text import neutralise
from govid.nhs.decision import AppointmentStatus, Decision
from govid.nhs.local_time import on_the_wall
from govid.nhs.registry.practices import (
    Appointment,
    NoSuchAppointment,
    NotGranted,
    Order,
    PracticeRefusal,
    Practices,
    SlotGone,
)
from govid.nhs.repository import Hold

GONE = "The slot is not free any more"
NOT_GRANTED = "The practice does not grant this time"
CANCELLED = "The practice has cancelled the appointment"
_LONGEST_DESCRIPTION = 100


class PracticeOrders:
    """Brings the practice's own appointment in line with the stored one."""

    def __init__(self, practices: Practices | None) -> None:
        """Ask *practices*. Without a client every request is an outage."""
        self._practices = practices

    async def place(self, hold: Hold) -> Decision | None:
        """Book or move the appointment; return None while the practice has not decided.

        The message carries the appointment's own id and creation time, so a repeated one is
        identical.

        Raises:
            Outage: the practice cannot be reached; nothing is decided.
        """
        practices = self._require_client()
        order = Order(
            id=str(hold.appointment_id),
            # A request without a slot stores the number as written and the reason in full.
            patient="".join(hold.patient.split()),
            slots=hold.wanted,
            created=hold.created_at,
            description=shorten(
                neutralise(hold.reason or ""), _LONGEST_DESCRIPTION, placeholder=" ..."
            ),
        )
        try:
            if hold.confirmed_datetime is None:
                found = await practices.book(order)
            else:
                found = await _move(practices, order)
        except SlotGone:
            return _refusal(hold, GONE)
        except PracticeRefusal:
            return _refusal(hold, NOT_GRANTED)
        match found.status:
            case AppointmentStatus.REQUESTED:
                return None
            case AppointmentStatus.CONFIRMED:
                start = hold.wanted[0].start
                return Decision(
                    status=AppointmentStatus.CONFIRMED,
                    confirmed_datetime=start,
                    confirmation_details=f"{hold.specialty}, {on_the_wall(start)}",
                )
        if hold.confirmed_datetime is None:
            return _refusal(hold, NOT_GRANTED)
        return Decision(status=AppointmentStatus.CANCELLED, rejection_reason=CANCELLED)

    async def give_up(self, hold: Hold) -> None:
        """Cancel the appointment at the practice, unless it has passed there.

        Raises:
            Outage: the practice cannot be reached.
            AppointmentChanged: it changed meanwhile and must be read again.
        """
        practices = self._require_client()
        try:
            found = await practices.read(hold.service, str(hold.appointment_id))
            if found.status in (AppointmentStatus.REQUESTED, AppointmentStatus.CONFIRMED):
                await practices.cancel(found)
        except (NoSuchAppointment, NotGranted):
            return

    def _require_client(self) -> Practices:
        if self._practices is None:
            raise Outage("nhs")
        return self._practices


async def _move(practices: Practices, order: Order) -> Appointment:
    service, start, end = order.slots[0].service, order.slots[0].start, order.slots[-1].end
    try:
        found = await practices.read(service, order.id)
    except NoSuchAppointment:
        return await practices.book(order)
    is_there = (found.start, found.end) == (start, end)
    if is_there or found.status is not AppointmentStatus.CONFIRMED:
        return found
    return await practices.change(found, order)


def _refusal(hold: Hold, reason: str) -> Decision:
    """Reject a first request. After a refused move the confirmed appointment stays."""
    if hold.confirmed_datetime is None:
        return Decision(status=AppointmentStatus.REJECTED, rejection_reason=reason)
    return Decision(
        status=AppointmentStatus.CONFIRMED,
        confirmed_datetime=hold.confirmed_datetime,
        confirmation_details=hold.confirmation_details,
        rejection_reason=reason,
    )
