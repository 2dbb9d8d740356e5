"""The routes of the NHS: decode, call, return."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath, QueryParameter

from govid.bus import DEFAULT_LIMIT, MAX_LIMIT, Cause, Principal
from govid.nhs import examples
from govid.nhs.appointments import AppointmentDesk
from govid.nhs.patients import PatientFiling
from govid.nhs.schemas import AppointmentView, FilePatient, PatientView, RequestAppointment

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Records on a page.")]
Cursor = Annotated[
    UUID | None, QueryParameter(description="Where the page begins, as the `Link` header has it.")
]


def _answer(shape: Any, description: str, shown: list[Example]) -> ResponseSpec:
    # Examples that are made up at random are as good as none.
    return ResponseSpec(shape, description=description, examples=shown, generate_examples=False)


@get(
    "/patients",
    permission="nhs.patient.list",
    summary="List your own patient records",
    description="In order of filing. A `Link` header leads to the next page, if there is one.",
    responses={200: _answer(list[PatientView], "Yours.", examples.PATIENT_LISTS)},
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
    summary="File a patient record",
    description="The record belongs to your account: nobody else sees it.",
    responses={201: _answer(PatientView, "Filed.", examples.PATIENTS)},
)
async def file_patient(
    data: Annotated[FilePatient, Body(examples=examples.PATIENT_REQUESTS)],
    filing: NamedDependency[PatientFiling],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> PatientView:
    return await filing.file(data, principal, cause)


@post(
    "/appointments",
    status_code=202,
    permission="nhs.appointment.request",
    summary="Ask for an appointment",
    description="It is decided a moment later. A time without an offset is a time in the UK.",
    responses={202: _answer(AppointmentView, "Noted.", examples.APPOINTMENTS)},
)
async def request_appointment(
    data: Annotated[RequestAppointment, Body(examples=examples.APPOINTMENT_REQUESTS)],
    desk: NamedDependency[AppointmentDesk],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> AppointmentView:
    return await desk.request(data, principal, cause)


@get(
    "/appointments/{appointment_id:uuid}",
    permission="nhs.appointment.read",
    summary="Look one of your own appointments up",
    description="Another person's appointment is answered like one that does not exist.",
    responses={200: _answer(AppointmentView, "Yours.", examples.APPOINTMENTS)},
)
async def show_appointment(
    appointment_id: FromPath[UUID],
    desk: NamedDependency[AppointmentDesk],
    principal: NamedDependency[Principal],
) -> AppointmentView:
    return await desk.look_up(appointment_id, principal)


def router(filing: PatientFiling, desk: AppointmentDesk) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/nhs",
        route_handlers=[list_patients, file_patient, request_appointment, show_appointment],
        dependencies={
            "filing": Provide(lambda: filing, sync_to_thread=False),
            "desk": Provide(lambda: desk, sync_to_thread=False),
        },
        tags=["nhs"],
    )
