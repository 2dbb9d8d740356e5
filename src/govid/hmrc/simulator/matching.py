"""Simulates Individuals Matching: is there a person with this name, number and birth date.

Source: hmrc/individuals-matching-api. The rule is that of version 2; that of version 1 is not
published.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID, uuid4

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from govid.bus import Clock
from govid.bus.shared.names import have_same_prefix
from govid.hmrc.simulator.api_gateway import (
    AnyRequest,
    ApiGateway,
    requested_scenario,
    requested_version,
)
from govid.hmrc.simulator.applications import MATCHING
from govid.hmrc.simulator.errors import HmrcError, json_response
from govid.hmrc.simulator.people import (
    InvalidDetails,
    SimulatedPeople,
    SimulatedPerson,
    SubmittedDetails,
    parse_details,
)

PATH = "/individuals/matching"
SCOPE_PREFIX = "read:individuals-matching"
OFFERED_VERSIONS = ("1.0", "2.0")
OLD_VERSION = "1.0"
MATCH_LIFETIME = timedelta(hours=5)
"""HMRC says "several hours"."""

MATCHING_FAILED = "MATCHING_FAILED"
FIRST_NAME_LETTERS = 1
LAST_NAME_LETTERS = 3
NINO_WITHOUT_SUFFIX = 8


class StoredMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A matched person, and when the match expires."""

    person: SimulatedPerson
    expires_at: datetime


class MatchingApi:
    """Matches people by the first letters of their names."""

    def __init__(self, people: SimulatedPeople, gateway: ApiGateway, clock: Clock) -> None:
        """Match against *people*; check requests with *gateway*; expire matches by *clock*."""
        self._people = people
        self._gateway = gateway
        self._clock = clock
        self._matches: dict[UUID, StoredMatch] = {}

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the routes of matching, and of reading a match."""

        @post(PATH)
        async def match(request: AnyRequest) -> Response[bytes]:
            body = await request.body()
            return self._respond(
                request, lambda api_version: self._match(api_version, request, body)
            )

        @get(f"{PATH}/{{match_id:str}}")
        async def matched(request: AnyRequest, match_id: FromPath[str]) -> Response[bytes]:
            return self._respond(request, lambda api_version: self._matched(api_version, match_id))

        return [match, matched]

    def _respond(
        self, request: AnyRequest, answer: Callable[[str], Response[bytes]]
    ) -> Response[bytes]:
        try:
            api_version = requested_version(request, OFFERED_VERSIONS)
            self._gateway.authorise(request, MATCHING, SCOPE_PREFIX)
            correlation_id = None if api_version == OLD_VERSION else _correlation_id(request)
            response = answer(api_version)
        except HmrcError as error:
            return error.response
        if correlation_id is not None:
            response.headers["CorrelationId"] = correlation_id
        return response

    def _match(self, api_version: str, request: AnyRequest, body: bytes) -> Response[bytes]:
        requested = requested_scenario(request, (MATCHING_FAILED,))
        claim = _parse_claim(body, api_version)
        person = self._people.find(lambda one: _matches(one, claim))
        if requested == MATCHING_FAILED or person is None:
            raise HmrcError(
                HTTPStatus.FORBIDDEN if api_version == OLD_VERSION else HTTPStatus.NOT_FOUND,
                MATCHING_FAILED,
                "There is no match for the information provided",
            )
        match_id = uuid4()
        self._matches[match_id] = StoredMatch(
            person=person, expires_at=self._clock.now() + MATCH_LIFETIME
        )
        individual = {"name": "GET", "title": "Individual Details", "href": f"{PATH}/{match_id}"}
        return _links({"individual": individual, "self": {"href": f"{PATH}/"}})

    def _matched(self, api_version: str, match_id: str) -> Response[bytes]:
        match = self._matches.get(_uuid(match_id, api_version))
        if match is None or self._clock.now() >= match.expires_at:
            raise _not_found()
        query = f"?matchId={match_id}"
        links = {
            "income": {"href": f"/individuals/income/{query}"},
            "employments": {"href": f"/individuals/employments/{query}"},
            "benefits-and-credits": {"href": f"/individuals/benefits-and-credits/{query}"},
            "details": {"href": f"/individuals/details/{query}"},
            "self": {"href": f"{PATH}/{match_id}"},
        }
        person = match.person
        individual = {
            "firstName": person.first,
            "lastName": person.last,
            "nino": person.nino,
            "dateOfBirth": person.born.isoformat(),
        }
        return json_response({"_links": links, "individual": individual})


def _correlation_id(request: AnyRequest) -> str:
    given = request.headers.get("correlationid")
    if given is None:
        raise _invalid("2.0", "CorrelationId is required")
    try:
        UUID(given)
    except ValueError:
        raise _invalid("2.0", "Malformed CorrelationId") from None
    return given


def _parse_claim(body: bytes, api_version: str) -> SubmittedDetails:
    try:
        return parse_details(body, suffix_optional=api_version == OLD_VERSION)
    except InvalidDetails as error:
        if error.missing:
            raise _invalid(api_version, f"{error.missing[0]} is required") from None
        raise _invalid(api_version, f"Malformed {error.malformed[0]} submitted") from None


def _matches(person: SimulatedPerson, claim: SubmittedDetails) -> bool:
    return (
        person.born == claim.born
        # A number without its last letter is compared without it.
        and person.nino[: max(NINO_WITHOUT_SUFFIX, len(claim.nino))] == claim.nino
        and have_same_prefix(person.first, claim.first, FIRST_NAME_LETTERS)
        and have_same_prefix(person.last, claim.last, LAST_NAME_LETTERS)
    )


def _uuid(text: str, api_version: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        if api_version == OLD_VERSION:
            raise HmrcError(
                HTTPStatus.FORBIDDEN, "INVALID_UUID", "The match id is not a UUID"
            ) from None
        raise _not_found() from None


def _not_found() -> HmrcError:
    return HmrcError(HTTPStatus.NOT_FOUND, "NOT_FOUND", "The resource can not be found")


def _invalid(api_version: str, message: str) -> HmrcError:
    code = "BAD_REQUEST" if api_version == OLD_VERSION else "INVALID_REQUEST"
    return HmrcError(HTTPStatus.BAD_REQUEST, code, message)


def _links(links: Mapping[str, Mapping[str, str]]) -> Response[bytes]:
    return json_response({"_links": links})
