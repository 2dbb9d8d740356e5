"""Client of the Personal Demographics Service (PDS): reads one record by its number.

Source: NHSDigital/personal-demographics-service-api, specification and mocks.
"""

from http import HTTPStatus
from typing import NoReturn
from uuid import uuid4

from govid.bus.upstream import (
    AuthorisedClient,
    TokenCache,
    UnusableResponse,
    UpstreamClient,
    UpstreamRequest,
    UpstreamResponse,
)
from govid.nhs.clients.fhir_resources import OperationOutcome, PatientResource

# Errors of the NHS's proxy are plain JSON.
_ACCEPTS = ("application/fhir+json", "application/json")
_NUMBER_ROUTE = "/Patient/{nhsNumber}"


class PatientNotFound(Exception):
    """The number is not allocated or malformed."""


class RecordInvalidated(Exception):
    """The record has been marked as invalid."""


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
        response = await self._api.request(_build_request(number, correlation_id))
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
            UnusableResponse: always.
        """
        self._api.client.reject_other_subject()


def _build_request(number: str, correlation_id: str | None) -> UpstreamRequest:
    headers = {"X-Request-ID": str(uuid4())}
    if correlation_id is not None:
        # PDS does not accept a dot in a correlation id.
        headers["X-Correlation-ID"] = correlation_id.replace(".", "-")
    return UpstreamRequest(
        operation="patient.read",
        method="GET",
        route=_NUMBER_ROUTE,
        path=f"/Patient/{number}",
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
