"""HMRC's Individuals Matching, in the version that govid was let in to.

Version 2 compares the first letter of the first name, three letters of the last, the number and the
birthday: the beginnings of a name prove less than the whole.

Source: hmrc/individuals-matching-api.
"""

from http import HTTPStatus
from typing import Literal
from uuid import uuid4

import msgspec

from govid.bus.upstream import Answer, Api, Authorised, Call, TokenCache, Unusable
from govid.hmrc.registry.matcher import NoMatch, Person
from govid.hmrc.registry.protocol import Evidence
from govid.hmrc.registry.refusals import ErrorBody, check_let_in, refuses_token

Version = Literal["1.0", "2.0"]

METHOD = "individuals.match"
_PATH = "/individuals/matching/"
_NO_MATCH = "MATCHING_FAILED"
_STATUS = {"1.0": HTTPStatus.FORBIDDEN, "2.0": HTTPStatus.NOT_FOUND}
"""By which status each version says that it found nobody."""


class _Link(msgspec.Struct, frozen=True, kw_only=True):
    href: str


class _Links(msgspec.Struct, frozen=True, kw_only=True):
    individual: _Link


class _Matched(msgspec.Struct, frozen=True, kw_only=True):
    links: _Links = msgspec.field(name="_links")


class Individuals:
    """Individuals Matching, which is not told of deaths."""

    method = METHOD

    def __init__(self, api: Api, tokens: TokenCache, version: Version) -> None:
        """Call *version* of *api* with *tokens*."""
        self._api = Authorised(api, tokens, refuses_token)
        self._version = version

    async def match(self, person: Person, correlation_id: str | None) -> Evidence:
        """Return on what the match rests."""
        answer = await self._api.send(
            Call(
                operation=METHOD,
                method="POST",
                route=_PATH,
                path=_PATH,
                headers={
                    "Accept": f"application/vnd.hmrc.{self._version}+json",
                    "Content-Type": "application/json",
                    # Ours may be no UUID, and HMRC takes nothing else.
                    "CorrelationId": str(uuid4()),
                },
                body=person.body,
                correlation_id=correlation_id,
            )
        )
        if answer.is_success:
            link = answer.decode(_Matched).links.individual.href
            return Evidence(
                method=METHOD, strength=2, validity=1, transaction=link.rpartition("/")[2]
            )
        raise self._refusal(answer)

    def _refusal(self, answer: Answer) -> Exception:
        error = answer.decode(ErrorBody)
        if (answer.status, error.code) == (_STATUS[self._version], _NO_MATCH):
            return NoMatch()
        check_let_in(self._api.api, answer, error)
        return Unusable(answer.api, f"status {answer.status}")
