"""HTTP routes of the NHS module below `/api/nhs`: patient records, slots and appointments."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import Body, FromPath, HeaderParameter, QueryParameter

from govid.bus import DEFAULT_LIMIT, OperationContext, Principal
from govid.bus.shared.api import PageCursor, PageLimit, describe_response
from govid.nhs import openapi_examples
from govid.nhs.appointments import (
    AppointmentBookings,
    AppointmentRequests,
    Precondition,
    format_etag,
)
from govid.nhs.eligibility import AccountQuotas
from govid.nhs.patient_records import PatientRecords
from govid.nhs.practice_booking import SlotAvailability
from govid.nhs.schemas import (
    AppointmentView,
    BookSlots,
    FilePatient,
    MoveAppointment,
    PatientView,
    RequestAppointment,
    SlotView,
    Versioned,
)


def appointment_response(
    appointment: Versioned, *, created: bool = False
) -> Response[AppointmentView]:
    """Return the response for *appointment*: version as `ETag`, and `Location` if *created*."""
    headers = {"ETag": format_etag(appointment.version)}
    if created:
        headers["Location"] = f"/api/nhs/appointments/{appointment.view.appointment_id}"
    return Response(appointment.view, headers=headers)


@get(
    "/patients",
    permission="nhs.patient.list",
    summary="List your own patient records",
    description="In order of filing. A `Link` header points to the next page, if there is one.",
    responses={
        200: describe_response(
            list[PatientView], "Your patient records.", openapi_examples.PATIENT_LISTS
        )
    },
)
async def list_patients(
    request: Request[Any, Any, Any],
    patient_records: NamedDependency[PatientRecords],
    principal: NamedDependency[Principal],
    limit: PageLimit = DEFAULT_LIMIT,
    cursor: PageCursor = None,
) -> Response[list[PatientView]]:
    page = await patient_records.list_own(principal, limit=limit, after=cursor)
    return Response(list(page.items), headers=page.headers(request.url.path))


@post(
    "/patients",
    status_code=201,
    permission="nhs.patient.create",
    long_text=True,
    refuses=("403", "409", "429"),
    summary="File a patient record",
    description="Only your account can see the record. A number that was verified for another "
    "account is refused, at most ten times a day.",
    responses={201: describe_response(PatientView, "Filed.", openapi_examples.PATIENTS)},
)
async def file_patient(
    data: Annotated[FilePatient, Body(examples=openapi_examples.PATIENT_REQUESTS)],
    patient_records: NamedDependency[PatientRecords],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> PatientView:
    return await patient_records.file(data, principal, context)


@delete(
    "/patients/{record_id:uuid}",
    permission="nhs.patient.remove",
    summary="Remove a patient record that you filed",
    description="A record that came from the NHS itself cannot be removed.",
)
async def remove_patient(
    record_id: FromPath[UUID],
    patient_records: NamedDependency[PatientRecords],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> None:
    await patient_records.remove(record_id, principal, context)


@post(
    "/appointments",
    status_code=202,
    permission="nhs.appointment.request",
    long_text=True,
    refuses=("403", "409", "429"),
    summary="Request an appointment",
    description="The request is decided shortly afterwards. A time without an offset is UK time.",
    responses={202: describe_response(AppointmentView, "Accepted.", openapi_examples.APPOINTMENTS)},
)
async def request_appointment(
    data: Annotated[RequestAppointment, Body(examples=openapi_examples.APPOINTMENT_REQUESTS)],
    requests: NamedDependency[AppointmentRequests],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> Response[AppointmentView]:
    return appointment_response(await requests.submit(data, principal, context))


@get(
    "/appointments/{appointment_id:uuid}",
    permission="nhs.appointment.read",
    summary="Show one of your own appointments",
    description="The response is the same for another person's appointment and for an unknown one.",
    responses={
        200: describe_response(AppointmentView, "Your appointment.", openapi_examples.APPOINTMENTS)
    },
)
async def show_appointment(
    appointment_id: FromPath[UUID],
    requests: NamedDependency[AppointmentRequests],
    principal: NamedDependency[Principal],
) -> Response[AppointmentView]:
    return appointment_response(await requests.fetch_own(appointment_id, principal))


RECORD_AND_REQUEST_ROUTES = (
    list_patients,
    file_patient,
    remove_patient,
    request_appointment,
    show_appointment,
)


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
    responses={200: describe_response(list[SlotView], "Free slots.", openapi_examples.SLOT_LISTS)},
)
async def list_slots(
    availability: NamedDependency[SlotAvailability],
    quotas: NamedDependency[AccountQuotas],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
    specialty: Annotated[
        str, QueryParameter(min_length=1, max_length=100, description="Such as `Cardiology`.")
    ],
    day: Annotated[date, QueryParameter(name="date", description="A day in the UK.")],
) -> list[SlotView]:
    await quotas.count_search(principal.account_id, context)
    return list(await availability.list_free_slots(specialty, day, principal))


@post(
    "/bookings",
    status_code=202,
    permission="nhs.appointment.book",
    refuses=("403", "409", "429"),
    summary="Book a time",
    description="The slots are held for you at once. The practice may still refuse them.",
    responses={
        202: describe_response(AppointmentView, "The slots are held.", openapi_examples.BOOKINGS)
    },
)
async def book(
    data: Annotated[BookSlots, Body(examples=openapi_examples.BOOKING_REQUESTS)],
    bookings: NamedDependency[AppointmentBookings],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
    idempotency_key: IdempotencyKey = None,
) -> Response[AppointmentView]:
    return appointment_response(
        await bookings.book(data, idempotency_key, principal, context), created=True
    )


@get(
    "/appointments",
    permission="nhs.appointment.list",
    summary="List your own appointments",
    description="In order of creation. A `Link` header points to the next page, if there is one.",
    responses={
        200: describe_response(
            list[AppointmentView], "Your appointments.", openapi_examples.APPOINTMENT_LISTS
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
        202: describe_response(AppointmentView, "The move is requested.", openapi_examples.BOOKINGS)
    },
)
async def move_appointment(
    appointment_id: FromPath[UUID],
    data: Annotated[MoveAppointment, Body(examples=openapi_examples.MOVE_REQUESTS)],
    bookings: NamedDependency[AppointmentBookings],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
    if_match: IfMatch = None,
) -> Response[AppointmentView]:
    precondition = Precondition.from_header(if_match)
    return appointment_response(
        await bookings.move(appointment_id, data, precondition, principal, context)
    )


@delete(
    "/appointments/{appointment_id:uuid}",
    status_code=200,
    permission="nhs.appointment.cancel",
    refuses=("409", "412", "428", "429"),
    summary="Cancel an appointment",
    description="The practice is notified at once, and others can book the slots.",
    responses={
        200: describe_response(AppointmentView, "Cancelled.", openapi_examples.CANCELLATIONS)
    },
)
async def cancel_appointment(
    appointment_id: FromPath[UUID],
    bookings: NamedDependency[AppointmentBookings],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
    if_match: IfMatch = None,
) -> Response[AppointmentView]:
    precondition = Precondition.from_header(if_match)
    return appointment_response(
        await bookings.cancel(appointment_id, precondition, principal, context)
    )


BOOKING_ROUTES = (list_slots, book, list_appointments, move_appointment, cancel_appointment)


def router(
    patient_records: PatientRecords,
    requests: AppointmentRequests,
    availability: SlotAvailability,
    bookings: AppointmentBookings,
    quotas: AccountQuotas,
) -> Router:
    """Return the router of `/api/nhs`; its handlers receive the use cases as dependencies."""
    return Router(
        "/api/nhs",
        route_handlers=[*RECORD_AND_REQUEST_ROUTES, *BOOKING_ROUTES],
        dependencies={
            "patient_records": Provide(lambda: patient_records, sync_to_thread=False),
            "requests": Provide(lambda: requests, sync_to_thread=False),
            "availability": Provide(lambda: availability, sync_to_thread=False),
            "bookings": Provide(lambda: bookings, sync_to_thread=False),
            "quotas": Provide(lambda: quotas, sync_to_thread=False),
        },
        tags=["nhs"],
    )


__all__ = ["router"]
