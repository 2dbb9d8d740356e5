"""Simulates HMRC's Personal Data Verification (PDV), whose errors do not follow the platform's.

Source: govuk-one-login/ipv-cri-check-hmrc-api, a client of it. How it compares names is not
published; here they are compared as govid compares names with NHS records.
"""

from http import HTTPStatus
from uuid import uuid4

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler

from govid.bus.shared.names import is_same_given_name, is_same_name
from govid.bus.upstream.simulation import InjectedFault
from govid.hmrc.simulator.api_gateway import AnyRequest, ApiGateway, requested_scenario
from govid.hmrc.simulator.applications import PDV
from govid.hmrc.simulator.errors import HmrcError, json_response
from govid.hmrc.simulator.people import (
    InvalidDetails,
    SimulatedPeople,
    SimulatedPerson,
    SubmittedDetails,
    parse_details,
)

PATHS = (
    "/individuals/authentication/authenticator/api/match",
    "/individuals/authentication/authenticator/match",
)
"""Both paths are in use."""

NO_MATCH = "NO_MATCH"
DECEASED = "DECEASED"
DECEASED_TEXT = "Request to create account for a deceased user"
OTHER_PERSON = {
    "firstName": "Ida",
    "lastName": "Newton",
    "dateOfBirth": "1960-06-01",
    "nino": "PE938808A",
}


class PdvBehaviour:
    """Variants of PDV's responses. A test may change them at run time."""

    def __init__(self) -> None:
        """Start with the usual responses."""
        self.no_match: object = {"errors": "CID returned no record"}
        self.deceased_label = "text/plain"
        """The media type of the text; it may wrongly be `application/json`."""
        self.includes_exchange_id = True
        """Whether a response has the id of the exchange (`x-amz-cf-id`)."""


class PdvApi:
    """Matches people by whole names."""

    def __init__(
        self, people: SimulatedPeople, gateway: ApiGateway, behaviour: PdvBehaviour
    ) -> None:
        """Match against *people*; check requests with *gateway*; respond as *behaviour* says."""
        self._people = people
        self._gateway = gateway
        self._behaviour = behaviour

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the one route, which has two paths."""

        @post(list(PATHS))
        async def match(request: AnyRequest) -> Response[bytes]:
            try:
                self._gateway.authorise(request, PDV)
                requested = requested_scenario(request, (NO_MATCH, DECEASED))
                answer = self._respond(request, await request.body(), requested)
            except HmrcError as error:
                return error.response
            if self._behaviour.includes_exchange_id:
                answer.headers["x-amz-cf-id"] = uuid4().hex
            return answer

        return [match]

    def _respond(self, request: AnyRequest, body: bytes, requested: str | None) -> Response[bytes]:
        claim = _parse_claim(body)
        person = self._people.find(lambda one: _matches(one, claim))
        if requested == DECEASED or (requested is None and person is not None and person.has_died):
            return Response(
                DECEASED_TEXT.encode(),
                status_code=int(HTTPStatus.FAILED_DEPENDENCY),
                media_type=self._behaviour.deceased_label,
            )
        if requested == NO_MATCH or person is None:
            return json_response(self._behaviour.no_match, HTTPStatus.UNAUTHORIZED)
        if request.scope.get("govid.fault") is InjectedFault.OTHER_PERSON:
            return json_response(OTHER_PERSON)
        return json_response(
            {
                "firstName": claim.first,
                "lastName": claim.last,
                "dateOfBirth": claim.born.isoformat(),
                "nino": claim.nino,
            }
        )


def _parse_claim(body: bytes) -> SubmittedDetails:
    try:
        return parse_details(body)
    except InvalidDetails as error:
        errors = [
            *(_error("MISSING_FIELD", "This field is required", name) for name in error.missing),
            *(_error("INVALID_FIELD", "This field is not valid", name) for name in error.malformed),
        ]
        raise HmrcError(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", "Bad request", errors) from None


def _error(code: str, message: str, name: str) -> dict[str, str]:
    return {"code": code, "message": message, "path": f"/{name}"}


def _matches(person: SimulatedPerson, claim: SubmittedDetails) -> bool:
    return (
        (person.nino, person.born) == (claim.nino, claim.born)
        and is_same_given_name(person.first, claim.first)
        and is_same_name(person.last, claim.last)
    )
