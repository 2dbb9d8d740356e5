"""What is asked of a practice about one appointment; asked again, it is the same."""

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
    """Brings a practice's diary to what the citizen wants."""

    def __init__(self, practices: Practices | None) -> None:
        """Ask *practices*, or nobody."""
        self._practices = practices

    async def place(self, hold: Hold) -> Decision | None:
        """Book or move what *hold* wants; None as long as the practice has not decided.

        The appointment's own id and time of birth make the message what it was the first time.

        Raises:
            Outage: the practice cannot be asked; nothing is decided.
        """
        practices = self._asked()
        order = Order(
            id=str(hold.appointment_id),
            # A wish has kept the number as it was written, and the reason in full.
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
                found = await _moved(practices, order)
        except SlotGone:
            return _refused(hold, GONE)
        except PracticeRefusal:
            return _refused(hold, NOT_GRANTED)
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
            return _refused(hold, NOT_GRANTED)
        return Decision(status=AppointmentStatus.CANCELLED, rejection_reason=CANCELLED)

    async def give_up(self, hold: Hold) -> None:
        """Cancel at the practice what it has of *hold*; what has passed stays.

        Raises:
            Outage: the practice cannot be asked.
            AppointmentChanged: it changed meanwhile, and has to be read again.
        """
        practices = self._asked()
        try:
            found = await practices.read(hold.service, str(hold.appointment_id))
            if found.status in (AppointmentStatus.REQUESTED, AppointmentStatus.CONFIRMED):
                await practices.cancel(found)
        except (NoSuchAppointment, NotGranted):
            return

    def _asked(self) -> Practices:
        if self._practices is None:
            raise Outage("nhs")
        return self._practices


async def _moved(practices: Practices, order: Order) -> Appointment:
    service, start, end = order.slots[0].service, order.slots[0].start, order.slots[-1].end
    try:
        found = await practices.read(service, order.id)
    except NoSuchAppointment:
        return await practices.book(order)
    is_there = (found.start, found.end) == (start, end)
    if is_there or found.status is not AppointmentStatus.CONFIRMED:
        return found
    return await practices.change(found, order)


def _refused(hold: Hold, reason: str) -> Decision:
    """Reject a first wish; where an appointment stands, it stands on."""
    if hold.confirmed_datetime is None:
        return Decision(status=AppointmentStatus.REJECTED, rejection_reason=reason)
    return Decision(
        status=AppointmentStatus.CONFIRMED,
        confirmed_datetime=hold.confirmed_datetime,
        confirmation_details=hold.confirmation_details,
        rejection_reason=reason,
    )
