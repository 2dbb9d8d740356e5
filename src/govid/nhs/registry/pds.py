"""Calls to the Personal Demographics Service: one record by number, or by facts.

Source: NHSDigital/personal-demographics-service-api, specification and mocks.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import NoReturn
from uuid import uuid4

from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.names import first_given_name
from govid.bus.upstream import Answer, Api, Authorised, Call, TokenCache, Unusable
from govid.nhs.registry.record import OperationOutcome, Record, SearchSet

# What the NHS's proxy makes itself is plain JSON.
_ACCEPTS = ("application/fhir+json", "application/json")
_NUMBER_ROUTE = "/Patient/{nhsNumber}"
_GIVEN_LETTERS = 3
_POSTCODE_LETTERS = 2


class NotFound(Exception):
    """Nobody holds the number, or it is none."""


class Gone(Exception):
    """The record was marked as invalid."""


class TooMany(Exception):
    """The facts describe more than one person."""


class Pds:
    """PDS, as an application that signs for itself may use it."""

    def __init__(self, api: Api, tokens: TokenCache) -> None:
        """Call *api* with *tokens*."""
        self._api = Authorised(api, tokens, _refuses_token)

    async def read(
        self, number: str, correlation_id: str | None = None
    ) -> tuple[Record, str | None]:
        """Return the record of *number*, and the id of the exchange.

        The record of a number that was superseded has another one.

        Raises:
            NotFound: nobody holds it.
            Gone: its record was withdrawn.
            UpstreamFailure: PDS gave no answer that could be used.
        """
        call = _call("patient.read", _NUMBER_ROUTE, f"/Patient/{number}", (), correlation_id)
        answer = await self._api.send(call)
        if answer.is_success:
            return answer.decode(Record), _exchange(answer)
        codes = answer.decode(OperationOutcome).codes
        match answer.status:
            case HTTPStatus.NOT_FOUND if "RESOURCE_NOT_FOUND" in codes:
                raise NotFound
            case HTTPStatus.NOT_FOUND if "INVALIDATED_RESOURCE" in codes:
                raise Gone
            case HTTPStatus.BAD_REQUEST if "INVALID_RESOURCE_ID" in codes:
                raise NotFound
        raise Unusable(answer.api, f"status {answer.status}")

    def refuse_other_subject(self) -> NoReturn:
        """Refuse a record that is another person's; an operator hears of it.

        Raises:
            Unusable: always.
        """
        self._api.api.refuse_other_subject()

    async def find(
        self, facts: ClaimedFacts, correlation_id: str | None = None
    ) -> tuple[Record, str | None]:
        """Return the record of the one person whom *facts* describe, and the id of the exchange.

        Raises:
            NotFound: they describe nobody.
            TooMany: they describe several.
            UpstreamFailure: PDS gave no answer that could be used.
        """
        call = _call("patient.find", "/Patient", "/Patient", _query(facts), correlation_id)
        answer = await self._api.send(call)
        if not answer.is_success:
            raise Unusable(answer.api, f"status {answer.status}")
        found = answer.decode(SearchSet | OperationOutcome)  # type: ignore[arg-type]  # a union
        match found:
            case OperationOutcome() if "TOO_MANY_MATCHES" in found.codes:
                raise TooMany
            case SearchSet(entry=[one]):
                return one.resource, _exchange(answer)
            case SearchSet(entry=[]):
                raise NotFound
            case SearchSet():
                raise TooMany
        raise Unusable(answer.api, "unknown outcome")


def _query(facts: ClaimedFacts) -> Sequence[tuple[str, str]]:
    """Return the search that the NHS recommends to find one person.

    The beginning of the name and of the postcode, as people shorten the one and move with the
    other; names of the past too; nothing fuzzy.
    """
    given = first_given_name(facts.given_name or "")
    query = [
        ("family", facts.family_name),
        ("given", _begins(given, _GIVEN_LETTERS)),
        ("birthdate", f"eq{facts.date_of_birth.isoformat()}"),
        ("_history", "true"),
        ("_max-results", "1"),
    ]
    if facts.postcode:
        query.append(("address-postalcode", _begins(facts.postcode, _POSTCODE_LETTERS)))
    return [(name, value) for name, value in query if value]


def _begins(text: str, letters: int) -> str:
    return f"{text[:letters]}*" if len(text) > letters else text


def _call(
    operation: str,
    route: str,
    path: str,
    query: Sequence[tuple[str, str]],
    correlation_id: str | None,
) -> Call:
    headers = {"X-Request-ID": str(uuid4())}
    if correlation_id is not None:
        # PDS reads a dot as the beginning of something else.
        headers["X-Correlation-ID"] = correlation_id.replace(".", "-")
    return Call(
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


def _refuses_token(answer: Answer) -> bool:
    if answer.status != HTTPStatus.UNAUTHORIZED:
        return False
    return "ACCESS_DENIED" in answer.decode(OperationOutcome).codes


def _exchange(answer: Answer) -> str | None:
    return answer.headers.get("x-request-id")
