"""Routes of the simulated Personal Demographics Service (PDS): read by number, and search."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from govid.bus import Clock
from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.upstream.simulation import InjectedFault, TokenBucket
from govid.nhs.simulator.oauth import AccessTokenStore
from govid.nhs.simulator.patients import (
    SimulatedPatient,
    SimulatedPatients,
    build_patient,
    build_searchset,
)
from govid.nhs.simulator.pds_errors import (
    FHIR_JSON,
    PdsError,
    access_denied,
    encode_outcome,
    invalid_value,
    invalidated,
    missing_value,
    not_found,
    too_many_requests,
)
from govid.nhs.simulator.pds_search import find_matches, validate_query

BASE_PATH = "/personal-demographics/FHIR/R4"
MIRRORED_HEADERS = ("x-request-id", "x-correlation-id")
OTHER_PERSON_NUMBER = "9732110317"

AccessMode = Literal["application", "open"]
AnyRequest = Request[Any, Any, Any]


class PdsEndpoints:
    """PDS endpoints. Mode `open` requires no access token, like the NHS's public sandbox."""

    def __init__(
        self,
        people: SimulatedPatients,
        tokens: AccessTokenStore,
        bucket: TokenBucket,
        clock: Clock,
        mode: AccessMode,
    ) -> None:
        """Serve *people* to requests with one of *tokens*, within the rate limit of *bucket*."""
        self._people = people
        self._tokens = tokens
        self._bucket = bucket
        self._clock = clock
        self._mode = mode

    def build_routes(self) -> list[HTTPRouteHandler]:
        """Return the two routes."""

        @get(f"{BASE_PATH}/Patient/{{number:str}}")
        async def read(request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
            return self._respond(request, lambda: self._read(request, number))

        @get(f"{BASE_PATH}/Patient")
        async def find(request: AnyRequest) -> Response[bytes]:
            return self._respond(request, lambda: self._find(request))

        return [read, find]

    def _respond(self, request: AnyRequest, operation: Any) -> Response[bytes]:
        headers = {
            name: value
            for name in MIRRORED_HEADERS
            if (value := request.headers.get(name)) is not None
        }
        try:
            self._check_request(request)
            body, more = operation()
        except PdsError as error:
            return Response(
                error.body, status_code=error.status, media_type=error.media_type, headers=headers
            )
        return Response(body, media_type=FHIR_JSON, headers={**headers, **more})

    def _check_request(self, request: AnyRequest) -> None:
        request_id = request.headers.get("x-request-id")
        if request_id is None:
            raise missing_value(
                "Invalid request with error - X-Request-ID header must be supplied to access this "
                "resource"
            )
        try:
            UUID(request_id)
        except ValueError:
            raise invalid_value(
                f"Invalid value - '{request_id}' in header 'X-Request-ID'"
            ) from None
        if self._mode == "application":
            self._authorise(request.headers.get("authorization"))
        if not self._bucket.try_acquire():
            raise too_many_requests()

    def _authorise(self, header: str | None) -> None:
        if header is None:
            raise access_denied("Missing Authorization header")
        if not header.strip():
            raise access_denied("Empty Authorization header")
        kind, _, token = header.partition(" ")
        if kind != "Bearer":
            raise access_denied(f"Invalid token type '{kind}', must be 'Bearer'")
        if not token.strip():
            raise access_denied("Missing access token")
        if not self._tokens.is_valid(token.strip()):
            raise access_denied("Invalid Access Token")

    def _read(self, request: AnyRequest, number: str) -> tuple[bytes, Mapping[str, str]]:
        try:
            normalise_identifier(IdentifierType.NHS, number, accept_prototype_nhs=False)
        except ValueError:
            raise PdsError(400, "INVALID_RESOURCE_ID", "value", "Resource Id is invalid") from None
        if request.scope.get("govid.fault") is InjectedFault.OTHER_PERSON:
            number = OTHER_PERSON_NUMBER
        person = self._find_person(number)
        return msgspec.json.encode(build_patient(person)), {"etag": f'W/"{person.version}"'}

    def _find_person(self, number: str) -> SimulatedPatient:
        person = self._people.get(number)
        if person is not None and person.superseded_by is not None:
            person = self._people.get(person.superseded_by)
        if person is None or person.is_hidden:
            raise not_found()
        if person.is_invalidated:
            raise invalidated()
        return person

    def _find(self, request: AnyRequest) -> tuple[bytes, Mapping[str, str]]:
        query = request.query_params
        is_application = self._mode == "application"
        validate_query(query, is_application=is_application)
        found = find_matches(query, self._people.list_searchable())
        maximum = int(query.get("_max-results", 1 if is_application else 50))
        if len(found) > maximum:
            # Too many matches has a success status.
            body = encode_outcome(
                "TOO_MANY_MATCHES", "multiple-matches", "Too Many Matches", severity="information"
            )
            return body, {}
        base_url = f"{str(request.base_url).rstrip('/')}{BASE_PATH}"
        timestamp = self._clock.now().isoformat(timespec="seconds")
        return msgspec.json.encode(build_searchset(found, base_url, timestamp)), {}
