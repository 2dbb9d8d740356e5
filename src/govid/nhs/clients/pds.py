"""Client of the Personal Demographics Service (PDS): reads one record by number or by facts.

Source: NHSDigital/personal-demographics-service-api, specification and mocks.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import NoReturn
from uuid import uuid4

from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.names import first_given_name
from govid.bus.upstream import (
    AuthorisedClient,
    TokenCache,
    UnusableResponse,
    UpstreamClient,
    UpstreamRequest,
    UpstreamResponse,
)
from govid.nhs.clients.fhir_resources import OperationOutcome, PatientResource, SearchSet

# Errors of the NHS's proxy are plain JSON.
_ACCEPTS = ("application/fhir+json", "application/json")
_NUMBER_ROUTE = "/Patient/{nhsNumber}"
_GIVEN_LETTERS = 3
_POSTCODE_LETTERS = 2


class PatientNotFound(Exception):
    """The number is not allocated or malformed, or no patient matches the facts."""


class RecordInvalidated(Exception):
    """The record has been marked as invalid."""


class TooManyMatches(Exception):
    """The facts match more than one patient."""


class PdsClient:
    """PDS in application-restricted access."""

    def __init__(self, api: UpstreamClient, tokens: TokenCache) -> None:
        """Send requests by *api* with access tokens from *tokens*."""
        self._api = AuthorisedClient(api, tokens, _is_token_refusal)

    async def fetch_patient(
        self, number: str, correlation_id: str | None = None
    ) -> tuple[PatientResource, str | None]:
        """Return the record of *number*, and PDS's id of the request.

        For a superseded number the record has the new number.

        Raises:
            PatientNotFound: the number is not allocated.
            RecordInvalidated: its record was withdrawn.
            UpstreamFailure: PDS gave no usable response.
        """
        request = _build_request(
            "patient.read", _NUMBER_ROUTE, f"/Patient/{number}", (), correlation_id
        )
        response = await self._api.request(request)
        if response.is_success:
            return response.decode(PatientResource), _request_id(response)
        codes = response.decode(OperationOutcome).error_codes
        match response.status:
            case HTTPStatus.NOT_FOUND if "RESOURCE_NOT_FOUND" in codes:
                raise PatientNotFound
            case HTTPStatus.NOT_FOUND if "INVALIDATED_RESOURCE" in codes:
                raise RecordInvalidated
            case HTTPStatus.BAD_REQUEST if "INVALID_RESOURCE_ID" in codes:
                raise PatientNotFound
        raise UnusableResponse(response.department, f"status {response.status}")

    def reject_other_subject(self) -> NoReturn:
        """Refuse a record that belongs to another person, and log it for the operator.

        Raises:
            Unusable: always.
        """
        self._api.client.reject_other_subject()

    async def find_patient(
        self, facts: ClaimedFacts, correlation_id: str | None = None
    ) -> tuple[PatientResource, str | None]:
        """Return the record of the one patient who matches *facts*, and PDS's id of the request.

        Raises:
            PatientNotFound: no patient matches.
            TooManyMatches: several patients match.
            UpstreamFailure: PDS gave no usable response.
        """
        request = _build_request(
            "patient.find", "/Patient", "/Patient", _build_query(facts), correlation_id
        )
        response = await self._api.request(request)
        if not response.is_success:
            raise UnusableResponse(response.department, f"status {response.status}")
        found = response.decode(SearchSet | OperationOutcome)  # type: ignore[arg-type]  # a union
        match found:
            case OperationOutcome() if "TOO_MANY_MATCHES" in found.error_codes:
                raise TooManyMatches
            case SearchSet(entry=[one]):
                return one.resource, _request_id(response)
            case SearchSet(entry=[]):
                raise PatientNotFound
            case SearchSet():
                raise TooManyMatches
        raise UnusableResponse(response.department, "unknown outcome")


def _build_query(facts: ClaimedFacts) -> Sequence[tuple[str, str]]:
    """Return the query parameters that the NHS recommends for finding one person.

    Only the beginning of given name and postcode is used, because given names are shortened and
    postcodes change. Former names match too; fuzzy matching is off.
    """
    given = first_given_name(facts.given_name or "")
    query = [
        ("family", facts.family_name),
        ("given", _prefix(given, _GIVEN_LETTERS)),
        ("birthdate", f"eq{facts.date_of_birth.isoformat()}"),
        ("_history", "true"),
        ("_max-results", "1"),
    ]
    if facts.postcode:
        query.append(("address-postalcode", _prefix(facts.postcode, _POSTCODE_LETTERS)))
    return [(name, value) for name, value in query if value]


def _prefix(text: str, letters: int) -> str:
    return f"{text[:letters]}*" if len(text) > letters else text


def _build_request(
    operation: str,
    route: str,
    path: str,
    query: Sequence[tuple[str, str]],
    correlation_id: str | None,
) -> UpstreamRequest:
    headers = {"X-Request-ID": str(uuid4())}
    if correlation_id is not None:
        # PDS does not accept a dot in a correlation id.
        headers["X-Correlation-ID"] = correlation_id.replace(".", "-")
    return UpstreamRequest(
        operation=operation,
        method="GET",
        route=route,
        path=path,
        query=query,
        headers=headers,
        accepts=_ACCEPTS,
        repeatable=True,
        correlation_id=correlation_id,
    )


def _is_token_refusal(response: UpstreamResponse) -> bool:
    if response.status != HTTPStatus.UNAUTHORIZED:
        return False
    return "ACCESS_DENIED" in response.decode(OperationOutcome).error_codes


def _request_id(response: UpstreamResponse) -> str | None:
    return response.headers.get("x-request-id")
