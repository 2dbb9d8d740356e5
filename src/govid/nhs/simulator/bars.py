"""Routes of the simulated Booking and Referral Standard (BaRS): slots, appointments, messages."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import msgspec
from litestar import Request, Response, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from govid.nhs.simulator.bars_errors import (
    FHIR_JSON,
    BarsError,
    bad_request,
    receiver_error,
)
from govid.nhs.simulator.bars_messages import (
    MessageProcessor,
    check_ids,
    check_target,
    check_version,
    parse_bound,
    parse_if_match,
    read_body,
)
from govid.nhs.simulator.bars_resources import (
    build_appointment,
    build_searchset,
    build_service_resources,
    build_slot,
    parse_booking,
)
from govid.nhs.simulator.diary import (
    DAYS_AHEAD,
    SERVICES,
    BookingRuleBroken,
    Diary,
    DiaryEntry,
    EntryConflict,
    UnknownEntry,
)
from govid.nhs.simulator.oauth import AccessTokenStore

BASE_PATH = "/booking-and-referral/FHIR/R4"
_PATIENT = "patient:identifier"
_SERVICE = "Schedule.actor:HealthcareService"
_INCLUDE = "Slot:schedule"

AnyRequest = Request[Any, Any, Any]
BarsResponse = tuple[int, Any, Mapping[str, str]]


class BarsEndpoints:
    """BaRS endpoints on one diary, for requests with a valid access token."""

    def __init__(self, diary: Diary, tokens: AccessTokenStore) -> None:
        """Serve *diary* to requests with one of *tokens*."""
        self._diary = diary
        self._messages = MessageProcessor(diary)
        self._tokens = tokens

    def build_routes(self) -> list[HTTPRouteHandler]:
        """Return all routes: messages, and the REST verbs of later versions."""

        @get(f"{BASE_PATH}/Slot")
        async def slots(request: AnyRequest) -> Response[bytes]:
            return await self._respond(request, self._search_slots)

        @get(f"{BASE_PATH}/Appointment")
        async def appointments(request: AnyRequest) -> Response[bytes]:
            return await self._respond(request, self._list_appointments)

        @get(f"{BASE_PATH}/Appointment/{{number:str}}")
        async def one(request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
            return await self._respond(request, lambda _: self._get_appointment(number))

        @post(f"{BASE_PATH}/$process-message")
        async def message(request: AnyRequest) -> Response[bytes]:
            return await self._respond(request, self._message)

        @post(f"{BASE_PATH}/Appointment")
        async def book(request: AnyRequest) -> Response[bytes]:
            return await self._respond(request, self._book, allow="GET, POST")

        @put(f"{BASE_PATH}/Appointment/{{number:str}}")
        async def change(request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
            return await self._respond(
                request, lambda one: self._change(one, number), allow="GET, PATCH, PUT, DELETE"
            )

        @patch(f"{BASE_PATH}/Appointment/{{number:str}}")
        async def amend(request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
            return await self._respond(
                request, lambda one: self._amend(one, number), allow="GET, PATCH, PUT, DELETE"
            )

        @delete(f"{BASE_PATH}/Appointment/{{number:str}}", status_code=200)
        async def cancel(request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
            return await self._respond(
                request, lambda one: self._cancel(one, number), allow="GET, PATCH, PUT, DELETE"
            )

        return [slots, appointments, one, message, book, change, amend, cancel]

    async def _respond(
        self,
        request: AnyRequest,
        operation: Callable[[AnyRequest], Awaitable[BarsResponse]],
        *,
        allow: str | None = None,
    ) -> Response[bytes]:
        """Respond to an authorised request; with *allow*, only in versions that have this verb."""
        try:
            self._authorise(request)
            check_version(request, allow)
            status, content, headers = await operation(request)
        except BookingRuleBroken as refusal:
            error: BarsError = bad_request(refusal.reason)
        except UnknownEntry as refusal:
            error = BarsError(404, "REC_NOT_FOUND", "not-found", refusal.reason)
        except EntryConflict as refusal:
            error = receiver_error(409, refusal.reason)
        except BarsError as refusal:
            error = refusal
        else:
            body = msgspec.json.encode(content)
            return Response(body, status_code=status, media_type=FHIR_JSON, headers=headers)
        return Response(
            error.body, status_code=error.status, media_type=FHIR_JSON, headers=error.headers
        )

    def _authorise(self, request: AnyRequest) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not self._tokens.is_valid(token):
            raise receiver_error(401)
        check_ids(request)
        check_target(request.headers.get("nhsd-target-identifier"))

    async def _search_slots(self, request: AnyRequest) -> BarsResponse:
        query = request.query_params
        bounds = query.getall("start", []) + query.getall("end", [])
        since = parse_bound(bounds, "ge")
        until = parse_bound(bounds, "le")
        if query.get("status") != "free" or _INCLUDE not in query.getall("_include", []):
            raise bad_request("only free slots can be searched, with their schedules")
        if until - since > timedelta(days=DAYS_AHEAD):
            raise bad_request("at most two weeks")
        service = str(query.get(_SERVICE, ""))
        if service not in SERVICES:
            raise bad_request("no such service")
        found = [build_slot(one) for one in self._diary.list_free(service, since, until)]
        more = build_service_resources(service) if found else []
        return 200, build_searchset([*found, *more], _base_url(request)), {}

    async def _list_appointments(self, request: AnyRequest) -> BarsResponse:
        system, _, number = unquote(request.query_params.get(_PATIENT, "")).partition("|")
        if not number or not system.endswith("/nhs-number"):
            raise bad_request("a patient identifier is needed")
        found = [build_appointment(one) for one in self._diary.list_for_patient(number)]
        return 200, build_searchset(found, _base_url(request)), {}

    async def _get_appointment(self, number: str) -> BarsResponse:
        return _appointment_response(self._diary.get(number))

    async def _message(self, request: AnyRequest) -> BarsResponse:
        return 200, self._messages.process(await read_body(request)), {}

    async def _book(self, request: AnyRequest) -> BarsResponse:
        resource = await read_body(request)
        number = str(uuid4())
        try:
            entry = self._diary.book(parse_booking(resource, number))
        except EntryConflict as refusal:
            raise BarsError(409, "DUPLICATE_REJECTED", "duplicate", refusal.reason) from None
        where = {"Location": f"{_base_url(request)}/Appointment/{number}"}
        return 201, build_appointment(entry), {**where, **_etag_header(entry)}

    async def _change(self, request: AnyRequest, number: str) -> BarsResponse:
        return self._changed(await read_body(request), number, parse_if_match(request))

    async def _amend(self, request: AnyRequest, number: str) -> BarsResponse:
        known = build_appointment(self._diary.get(number))
        return self._changed({**known, **await read_body(request)}, number, parse_if_match(request))

    def _changed(self, resource: dict[str, Any], number: str, version: int) -> BarsResponse:
        booking = parse_booking(resource, number)
        if resource.get("status") == "cancelled":
            return _appointment_response(self._diary.cancel(booking, version))
        return _appointment_response(self._diary.move(booking, version))

    async def _cancel(self, request: AnyRequest, number: str) -> BarsResponse:
        return _appointment_response(
            self._diary.cancel(self._diary.get(number).booking, parse_if_match(request))
        )


def _appointment_response(entry: DiaryEntry) -> BarsResponse:
    return 200, build_appointment(entry), _etag_header(entry)


def _etag_header(entry: DiaryEntry) -> dict[str, str]:
    return {"ETag": f'W/"{entry.version}"'}


def _base_url(request: AnyRequest) -> str:
    return f"{str(request.base_url).rstrip('/')}{BASE_PATH}"
