"""HTTP routes of patient records and appointment requests."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from govid.bus import DEFAULT_LIMIT, OperationContext, Principal
from govid.bus.routes import PageCursor, PageLimit, describe_response
from govid.nhs import examples
from govid.nhs.appointments import AppointmentRequests
from govid.nhs.patients import PatientRecords
from govid.nhs.preconditions import format_etag
from govid.nhs.schemas import (
    AppointmentView,
    FilePatient,
    PatientView,
    RequestAppointment,
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
        200: describe_response(list[PatientView], "Your patient records.", examples.PATIENT_LISTS)
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
    responses={201: describe_response(PatientView, "Filed.", examples.PATIENTS)},
)
async def file_patient(
    data: Annotated[FilePatient, Body(examples=examples.PATIENT_REQUESTS)],
    patient_records: NamedDependency[PatientRecords],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> PatientView:
    return await patient_records.file(data, principal, cause)


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
    cause: NamedDependency[OperationContext],
) -> None:
    await patient_records.remove(record_id, principal, cause)


@post(
    "/appointments",
    status_code=202,
    permission="nhs.appointment.request",
    long_text=True,
    refuses=("403", "409", "429"),
    summary="Request an appointment",
    description="The request is decided shortly afterwards. A time without an offset is UK time.",
    responses={202: describe_response(AppointmentView, "Accepted.", examples.APPOINTMENTS)},
)
async def request_appointment(
    data: Annotated[RequestAppointment, Body(examples=examples.APPOINTMENT_REQUESTS)],
    requests: NamedDependency[AppointmentRequests],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> Response[AppointmentView]:
    return appointment_response(await requests.submit(data, principal, cause))


@get(
    "/appointments/{appointment_id:uuid}",
    permission="nhs.appointment.read",
    summary="Show one of your own appointments",
    description="The response is the same for another person's appointment and for an unknown one.",
    responses={200: describe_response(AppointmentView, "Your appointment.", examples.APPOINTMENTS)},
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
