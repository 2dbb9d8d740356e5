"""Verifies National Insurance numbers at HMRC, by Individuals Matching or by PDV.

Individuals Matching 2.0 compares the first letter of the first name, three letters of the last
name, the number and the date of birth. Initial letters are weaker evidence than whole names. In
PDV (Personal Data Verification) a 401 has two meanings, one of which is about the person, and a
424 is text, whatever its media type.

Source: hmrc/individuals-matching-api; govuk-one-login/ipv-cri-check-hmrc-api, a client of PDV.
"""

import logging
from collections.abc import Sequence
from datetime import date
from http import HTTPStatus
from typing import Literal, Protocol
from uuid import uuid4

import msgspec

from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import ClaimedFacts, normalise_identifier
from govid.bus.shared.names import first_given_name, hmrc_spellings
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.shared.verification import (
    Evidence,
    IdentityClaim,
    VerificationFinding,
    VerificationOutcome,
)
from govid.bus.upstream import (
    AuthorisedClient,
    CredentialsRejected,
    TokenCache,
    UnusableResponse,
    UpstreamClient,
    UpstreamFailure,
    UpstreamRequest,
    UpstreamResponse,
)
from govid.hmrc.clients.errors import HmrcErrorBody, check_access, is_token_refusal

log = logging.getLogger(__name__)


class NoMatch(Exception):
    """HMRC knows no person with these details."""


class PersonDeceased(Exception):
    """HMRC knows the person, who has died."""


class PersonDetails(RedactedStruct, frozen=True, kw_only=True):
    """The details to match, with names as HMRC writes them."""

    first_name: str
    last_name: str
    date_of_birth: date
    nino: str

    @property
    def body(self) -> bytes:
        """The request body, which both APIs share."""
        return msgspec.json.encode(
            {
                "firstName": self.first_name,
                "lastName": self.last_name,
                "dateOfBirth": self.date_of_birth.isoformat(),
                "nino": self.nino,
            }
        )


class PersonMatcher(Protocol):
    """Client of one of HMRC's matching APIs."""

    method: str

    async def match(self, person: PersonDetails, correlation_id: str | None) -> Evidence:
        """Return the evidence of a match.

        Raises:
            NoMatch: HMRC knows no person with these details.
            PersonDeceased: the person has died.
            UpstreamFailure: there is no usable response, or it is about another person.
        """


def describe_person(facts: ClaimedFacts, nino: str) -> Sequence[PersonDetails]:
    """Return the details to match for *facts*: the first given name, and all family names.

    A name with two customary transcriptions gives several: HMRC may know either.

    Raises:
        ValueError: HMRC's form cannot represent a name, or one of the two names is missing.
    """
    return [
        PersonDetails(
            first_name=first, last_name=last, date_of_birth=facts.date_of_birth, nino=nino
        )
        for first in hmrc_spellings(first_given_name(facts.given_name or ""))
        for last in hmrc_spellings(" ".join(facts.family_name.split()))
    ]


MatchingVersion = Literal["1.0", "2.0"]

_METHOD = "individuals.match"
_MATCHING_PATH = "/individuals/matching/"
_NO_MATCH = "MATCHING_FAILED"
_STATUS = {"1.0": HTTPStatus.FORBIDDEN, "2.0": HTTPStatus.NOT_FOUND}
"""The status by which each version reports that it found no match."""


class _Link(msgspec.Struct, frozen=True, kw_only=True):
    href: str


class _Links(msgspec.Struct, frozen=True, kw_only=True):
    individual: _Link


class _Matched(msgspec.Struct, frozen=True, kw_only=True):
    links: _Links = msgspec.field(name="_links")


class IndividualMatchingClient:
    """Client of Individuals Matching, which does not report deaths."""

    method = _METHOD

    def __init__(self, api: UpstreamClient, tokens: TokenCache, version: MatchingVersion) -> None:
        """Call *version* of *api* with *tokens*."""
        self._api = AuthorisedClient(api, tokens, is_token_refusal)
        self._version = version

    async def match(self, person: PersonDetails, correlation_id: str | None) -> Evidence:
        """Return the evidence of the match."""
        response = await self._api.request(
            UpstreamRequest(
                operation=_METHOD,
                method="POST",
                route=_MATCHING_PATH,
                path=_MATCHING_PATH,
                headers={
                    "Accept": f"application/vnd.hmrc.{self._version}+json",
                    "Content-Type": "application/json",
                    # The correlation id of govid may not be a UUID, which HMRC requires.
                    "CorrelationId": str(uuid4()),
                },
                body=person.body,
                correlation_id=correlation_id,
            )
        )
        if response.is_success:
            link = response.decode(_Matched).links.individual.href
            return Evidence(
                method=_METHOD, strength=2, validity=1, transaction=link.rpartition("/")[2]
            )
        raise self._refusal(response)

    def _refusal(self, response: UpstreamResponse) -> Exception:
        error = response.decode(HmrcErrorBody)
        if (response.status, error.code) == (_STATUS[self._version], _NO_MATCH):
            return NoMatch()
        check_access(self._api.client, response, error)
        return UnusableResponse(response.department, f"status {response.status}")


_PDV_METHOD = "pdv.match"
_DECEASED = b"deceased"
_INTERNAL_ERROR = "Internal error"


class _Echo(RedactedStruct, frozen=True, kw_only=True, rename="camel"):
    """The person who was matched."""

    nino: str
    date_of_birth: str = ""


class PersonalDataVerificationClient:
    """Client of PDV, which compares whole names."""

    method = _PDV_METHOD

    def __init__(self, api: UpstreamClient, tokens: TokenCache, path: str) -> None:
        """Call *path* of *api* with *tokens*."""
        self._api = AuthorisedClient(api, tokens, is_token_refusal)
        self._path = path

    async def match(self, person: PersonDetails, correlation_id: str | None) -> Evidence:
        """Return the evidence of the match."""
        response = await self._api.request(
            UpstreamRequest(
                operation=_PDV_METHOD,
                method="POST",
                route=self._path,
                path=self._path,
                headers={"Content-Type": "application/json"},
                body=person.body,
                accepts=("application/json", "text/plain"),
                correlation_id=correlation_id,
            )
        )
        if response.is_success:
            return _check_echo(self._api.client, person, response)
        raise self._refusal(response)

    def _refusal(self, response: UpstreamResponse) -> Exception:
        if response.status == HTTPStatus.FAILED_DEPENDENCY:
            # The body is text, although its media type may be JSON.
            is_death = _DECEASED in response.body.lower()
            return (
                PersonDeceased()
                if is_death
                else UnusableResponse(response.department, "unknown 424")
            )
        error = response.decode(HmrcErrorBody)
        check_access(self._api.client, response, error)
        if response.status == HTTPStatus.UNAUTHORIZED and _reports_no_person(error.errors):
            return NoMatch()
        return UnusableResponse(response.department, f"status {response.status}")


def _reports_no_person(errors: object) -> bool:
    """Tell whether *errors* report that no person was found: a text, or a list of texts.

    HMRC uses the same member to report that its matching failed.
    """
    texts = errors if isinstance(errors, list) else [errors]
    return bool(texts) and all(
        isinstance(one, str) and one and not one.startswith(_INTERNAL_ERROR) for one in texts
    )


def _check_echo(api: UpstreamClient, person: PersonDetails, response: UpstreamResponse) -> Evidence:
    echo = response.decode(_Echo)
    born = person.date_of_birth.isoformat()
    if (echo.nino.replace(" ", "").upper(), echo.date_of_birth or born) != (person.nino, born):
        api.reject_other_subject()
    return Evidence(
        method=_PDV_METHOD, strength=2, validity=2, transaction=response.headers.get("x-amz-cf-id")
    )


class RemoteNinoVerifier:
    """Verifies numbers by a matching API of HMRC, real or simulated."""

    def __init__(self, matcher: PersonMatcher) -> None:
        """Call HMRC through *matcher*."""
        self._matcher = matcher

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:
        """Verify that the number is the claimant's. Without claimed facts, HMRC is not called."""
        if claim.facts is None:
            return VerificationFinding(outcome=VerificationOutcome.INSUFFICIENT)
        try:
            nino = normalise_identifier(
                IdentifierType.NIN, claim.number, accept_prototype_nhs=False
            )
        except ValueError:
            return self._finding_without_match(VerificationOutcome.MISMATCH)
        try:
            people = describe_person(claim.facts, nino)
        except ValueError:
            # A request with a changed name could not match, and would cost the citizen an attempt.
            return VerificationFinding(outcome=VerificationOutcome.INSUFFICIENT)
        try:
            return await self._match(people, claim.correlation_id)
        except UpstreamFailure as failure:
            return _finding_after_failure(failure)

    async def _match(
        self, people: Sequence[PersonDetails], correlation_id: str | None
    ) -> VerificationFinding:
        """Try each transcription of a name until one matches.

        All are tried unless one matches, so that the number of calls does not reveal whether the
        person has died.
        """
        outcome = VerificationOutcome.MISMATCH
        for person in people:
            try:
                evidence = await self._matcher.match(person, correlation_id)
            except NoMatch:
                continue
            except PersonDeceased:
                outcome = VerificationOutcome.DECEASED
                continue
            return VerificationFinding(outcome=VerificationOutcome.MATCH, evidence=evidence)
        return self._finding_without_match(outcome)

    def _finding_without_match(self, outcome: VerificationOutcome) -> VerificationFinding:
        evidence = Evidence(method=self._matcher.method, strength=0, validity=0)
        return VerificationFinding(outcome=outcome, evidence=evidence)


def _finding_after_failure(failure: UpstreamFailure) -> VerificationFinding:
    if isinstance(failure, CredentialsRejected):
        log.error("department.credentials_rejected", extra={"department": "hmrc"})
        return VerificationFinding(outcome=VerificationOutcome.CREDENTIALS_REJECTED)
    return VerificationFinding(outcome=VerificationOutcome.UNAVAILABLE)
