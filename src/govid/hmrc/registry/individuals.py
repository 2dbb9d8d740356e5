"""Client of HMRC's Individuals Matching API, in the version that govid is subscribed to.

Version 2 compares the first letter of the first name, three letters of the last name, the number
and the date of birth. Initial letters are weaker evidence than whole names.

Source: hmrc/individuals-matching-api.
"""

from http import HTTPStatus
from typing import Literal
from uuid import uuid4

import msgspec

from govid.bus.upstream import (
    AuthorisedClient,
    TokenCache,
    UnusableResponse,
    UpstreamClient,
    UpstreamRequest,
    UpstreamResponse,
)
from govid.hmrc.registry.matcher import NoMatch, PersonDetails
from govid.hmrc.registry.protocol import Evidence
from govid.hmrc.registry.refusals import HmrcErrorBody, check_access, is_token_refusal

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
        answer = await self._api.request(
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
        if answer.is_success:
            link = answer.decode(_Matched).links.individual.href
            return Evidence(
                method=_METHOD, strength=2, validity=1, transaction=link.rpartition("/")[2]
            )
        raise self._refusal(answer)

    def _refusal(self, answer: UpstreamResponse) -> Exception:
        error = answer.decode(HmrcErrorBody)
        if (answer.status, error.code) == (_STATUS[self._version], _NO_MATCH):
            return NoMatch()
        check_access(self._api.client, answer, error)
        return UnusableResponse(answer.department, f"status {answer.status}")
