"""Books, moves and cancels one appointment at its practice; repeating it changes nothing."""

from textwrap import shorten

from govid.bus import Outage
from govid.bus.shared.plain_text import neutralise
from govid.nhs.decision import AppointmentDecision, AppointmentStatus
from govid.nhs.local_time import format_uk_time
from govid.nhs.registry.practices import (
    BookingOrder,
    PracticeAppointment,
    PracticeClient,
    PracticeRefusal,
    PracticeRuleBroken,
    SlotGone,
    UnknownAppointment,
)
from govid.nhs.repository import SlotHold

SLOT_GONE_REASON = "The slot is not free any more"
RULE_BROKEN_REASON = "The practice does not grant this time"
PRACTICE_CANCELLED_REASON = "The practice has cancelled the appointment"
_LONGEST_DESCRIPTION = 100


class PracticeBookings:
    """Brings the practice's own appointment in line with the stored one."""

    def __init__(self, practices: PracticeClient | None) -> None:
        """Ask *practices*. Without a client every request is an outage."""
        self._practices = practices

    async def book_or_move(self, hold: SlotHold) -> AppointmentDecision | None:
        """Book or move the appointment; return None while the practice has not decided.

        The message carries the appointment's own id and creation time, so a repeated one is
        identical.

        Raises:
            Outage: the practice cannot be reached; nothing is decided.
        """
        practices = self._require_client()
        order = BookingOrder(
            id=str(hold.appointment_id),
            # A request without a slot stores the number as written and the reason in full.
            patient="".join(hold.patient.split()),
            slots=hold.requested_slots,
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
            return _refusal(hold, SLOT_GONE_REASON)
        except PracticeRefusal:
            return _refusal(hold, RULE_BROKEN_REASON)
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
            return _refusal(hold, RULE_BROKEN_REASON)
        return AppointmentDecision(
            status=AppointmentStatus.CANCELLED, rejection_reason=PRACTICE_CANCELLED_REASON
        )

    async def cancel(self, hold: SlotHold) -> None:
        """Cancel the appointment at the practice, unless it has passed there.

        Raises:
            Outage: the practice cannot be reached.
            AppointmentChanged: it changed meanwhile and must be read again.
        """
        practices = self._require_client()
        try:
            found = await practices.fetch_appointment(hold.service, str(hold.appointment_id))
            if found.status in (AppointmentStatus.REQUESTED, AppointmentStatus.CONFIRMED):
                await practices.cancel(found)
        except (UnknownAppointment, PracticeRuleBroken):
            return

    def _require_client(self) -> PracticeClient:
        if self._practices is None:
            raise Outage("nhs")
        return self._practices


async def _move(practices: PracticeClient, order: BookingOrder) -> PracticeAppointment:
    service, start, end = order.slots[0].service, order.slots[0].start, order.slots[-1].end
    try:
        found = await practices.fetch_appointment(service, order.id)
    except UnknownAppointment:
        return await practices.book(order)
    is_there = (found.start, found.end) == (start, end)
    if is_there or found.status is not AppointmentStatus.CONFIRMED:
        return found
    return await practices.move(found, order)


def _refusal(hold: SlotHold, reason: str) -> AppointmentDecision:
    """Reject a first request. After a refused move the confirmed appointment stays."""
    if hold.confirmed_datetime is None:
        return AppointmentDecision(status=AppointmentStatus.REJECTED, rejection_reason=reason)
    return AppointmentDecision(
        status=AppointmentStatus.CONFIRMED,
        confirmed_datetime=hold.confirmed_datetime,
        confirmation_details=hold.confirmation_details,
        rejection_reason=reason,
    )
