"""The routes of records and wishes: decode, call, return."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from govid.bus import DEFAULT_LIMIT, Cause, Principal
from govid.bus.routes import Cursor, Limit, answer_of
from govid.nhs import examples
from govid.nhs.appointments import AppointmentDesk
from govid.nhs.patients import PatientFiling
from govid.nhs.preconditions import tag_of
from govid.nhs.schemas import (
    AppointmentView,
    FilePatient,
    PatientView,
    RequestAppointment,
    Versioned,
)


def tagged(kept: Versioned, *, created: bool = False) -> Response[AppointmentView]:
    """Return an appointment with its version as `ETag`, and where to find it, if it is new."""
    headers = {"ETag": tag_of(kept.version)}
    if created:
        headers["Location"] = f"/api/nhs/appointments/{kept.view.appointment_id}"
    return Response(kept.view, headers=headers)


@get(
    "/patients",
    permission="nhs.patient.list",
    summary="List your own patient records",
    description="In order of filing. A `Link` header leads to the next page, if there is one.",
    responses={200: answer_of(list[PatientView], "Yours.", examples.PATIENT_LISTS)},
)
async def list_patients(
    request: Request[Any, Any, Any],
    filing: NamedDependency[PatientFiling],
    principal: NamedDependency[Principal],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[list[PatientView]]:
    page = await filing.own(principal, limit=limit, after=cursor)
    return Response(list(page.items), headers=page.headers(request.url.path))


@post(
    "/patients",
    status_code=201,
    permission="nhs.patient.create",
    long_text=True,
    refuses=("403", "409", "429"),
    summary="File a patient record",
    description="The record belongs to your account: nobody else sees it. A number that was "
    "verified for another account is refused, at most ten times a day.",
    responses={201: answer_of(PatientView, "Filed.", examples.PATIENTS)},
)
async def file_patient(
    data: Annotated[FilePatient, Body(examples=examples.PATIENT_REQUESTS)],
    filing: NamedDependency[PatientFiling],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> PatientView:
    return await filing.file(data, principal, cause)


@delete(
    "/patients/{record_id:uuid}",
    permission="nhs.patient.remove",
    summary="Remove a patient record that you filed",
    description="A record of the NHS itself stays.",
)
async def remove_patient(
    record_id: FromPath[UUID],
    filing: NamedDependency[PatientFiling],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> None:
    await filing.remove(record_id, principal, cause)


@post(
    "/appointments",
    status_code=202,
    permission="nhs.appointment.request",
    long_text=True,
    refuses=("403", "409", "429"),
    summary="Ask for an appointment",
    description="It is decided a moment later. A time without an offset is a time in the UK.",
    responses={202: answer_of(AppointmentView, "Noted.", examples.APPOINTMENTS)},
)
async def request_appointment(
    data: Annotated[RequestAppointment, Body(examples=examples.APPOINTMENT_REQUESTS)],
    desk: NamedDependency[AppointmentDesk],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> Response[AppointmentView]:
    return tagged(await desk.request(data, principal, cause))


@get(
    "/appointments/{appointment_id:uuid}",
    permission="nhs.appointment.read",
    summary="Look one of your own appointments up",
    description="Another person's appointment is answered like one that does not exist.",
    responses={200: answer_of(AppointmentView, "Yours.", examples.APPOINTMENTS)},
)
async def show_appointment(
    appointment_id: FromPath[UUID],
    desk: NamedDependency[AppointmentDesk],
    principal: NamedDependency[Principal],
) -> Response[AppointmentView]:
    return tagged(await desk.look_up(appointment_id, principal))


HANDLERS = (list_patients, file_patient, remove_patient, request_appointment, show_appointment)
