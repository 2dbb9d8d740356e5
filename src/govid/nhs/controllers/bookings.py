"""HTTP routes of free slots and of appointments in slots."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, HeaderParameter, QueryParameter

from govid.bus import DEFAULT_LIMIT, OperationContext, Principal
from govid.bus.routes import PageCursor, PageLimit, describe_response
from govid.nhs import examples
from govid.nhs.bookings import AppointmentBookings
from govid.nhs.controllers.requests import appointment_response
from govid.nhs.openings import SlotAvailability
from govid.nhs.preconditions import Precondition
from govid.nhs.quotas import AccountQuotas
from govid.nhs.schemas import AppointmentView, BookSlots, MoveAppointment, SlotView

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="A key of your choice: repeated with it, a booking returns the same response.",
    ),
]
IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", description="The `ETag` of the appointment as you read it."),
]


@get(
    "/slots",
    permission="nhs.slot.list",
    refuses=("403", "429"),
    summary="Find times that can be booked",
    description="Free slots of the practice on a day up to two weeks ahead, at most ten seconds "
    "old. Your account has to be verified.",
    responses={200: describe_response(list[SlotView], "Free slots.", examples.SLOT_LISTS)},
)
async def list_slots(
    availability: NamedDependency[SlotAvailability],
    quotas: NamedDependency[AccountQuotas],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
    specialty: Annotated[
        str, QueryParameter(min_length=1, max_length=100, description="Such as `Cardiology`.")
    ],
    day: Annotated[date, QueryParameter(name="date", description="A day in the UK.")],
) -> list[SlotView]:
    await quotas.count_search(principal.account_id, cause)
    return list(await availability.list_free_slots(specialty, day, principal))


@post(
    "/bookings",
    status_code=202,
    permission="nhs.appointment.book",
    refuses=("403", "409", "429"),
    summary="Book a time",
    description="The slots are held for you at once. The practice may still refuse them.",
    responses={202: describe_response(AppointmentView, "The slots are held.", examples.BOOKINGS)},
)
async def book(
    data: Annotated[BookSlots, Body(examples=examples.BOOKING_REQUESTS)],
    bookings: NamedDependency[AppointmentBookings],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
    idempotency_key: IdempotencyKey = None,
) -> Response[AppointmentView]:
    return appointment_response(
        await bookings.book(data, idempotency_key, principal, cause), created=True
    )


@get(
    "/appointments",
    permission="nhs.appointment.list",
    summary="List your own appointments",
    description="In order of creation. A `Link` header points to the next page, if there is one.",
    responses={
        200: describe_response(
            list[AppointmentView], "Your appointments.", examples.APPOINTMENT_LISTS
        )
    },
)
async def list_appointments(
    request: Request[Any, Any, Any],
    bookings: NamedDependency[AppointmentBookings],
    principal: NamedDependency[Principal],
    limit: PageLimit = DEFAULT_LIMIT,
    cursor: PageCursor = None,
) -> Response[list[AppointmentView]]:
    page = await bookings.list_own(principal, limit=limit, after=cursor)
    return Response(list(page.items), headers=page.headers(request.url.path))


@put(
    "/appointments/{appointment_id:uuid}",
    status_code=202,
    permission="nhs.appointment.change",
    refuses=("403", "409", "412", "428", "429"),
    summary="Move an appointment to another time",
    description="The appointment keeps its time until the practice agrees to the new one.",
    responses={
        202: describe_response(AppointmentView, "The move is requested.", examples.BOOKINGS)
    },
)
async def move_appointment(
    appointment_id: FromPath[UUID],
    data: Annotated[MoveAppointment, Body(examples=examples.MOVE_REQUESTS)],
    bookings: NamedDependency[AppointmentBookings],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
    if_match: IfMatch = None,
) -> Response[AppointmentView]:
    precondition = Precondition.from_header(if_match)
    return appointment_response(
        await bookings.move(appointment_id, data, precondition, principal, cause)
    )


@delete(
    "/appointments/{appointment_id:uuid}",
    status_code=200,
    permission="nhs.appointment.cancel",
    refuses=("409", "412", "428", "429"),
    summary="Cancel an appointment",
    description="The practice is notified at once, and others can book the slots.",
    responses={200: describe_response(AppointmentView, "Cancelled.", examples.CANCELLATIONS)},
)
async def cancel_appointment(
    appointment_id: FromPath[UUID],
    bookings: NamedDependency[AppointmentBookings],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
    if_match: IfMatch = None,
) -> Response[AppointmentView]:
    precondition = Precondition.from_header(if_match)
    return appointment_response(
        await bookings.cancel(appointment_id, precondition, principal, cause)
    )


BOOKING_ROUTES = (list_slots, book, list_appointments, move_appointment, cancel_appointment)
