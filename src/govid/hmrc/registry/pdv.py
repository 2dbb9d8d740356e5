"""Client of HMRC's Personal Data Verification (PDV).

A 401 has two meanings, one of which is about the person. A 424 is text, whatever its media type.

Source: govuk-one-login/ipv-cri-check-hmrc-api, which uses it.
"""

from http import HTTPStatus

import msgspec

from govid.bus.upstream import (
    AuthorisedClient,
    TokenCache,
    UnusableResponse,
    UpstreamClient,
    UpstreamRequest,
    UpstreamResponse,
)
from govid.hmrc.registry.matcher import NoMatch, PersonDeceased, PersonDetails
from govid.hmrc.registry.protocol import Evidence
from govid.hmrc.registry.refusals import HmrcErrorBody, check_access, is_token_refusal

_PDV_METHOD = "pdv.match"
_DECEASED = b"deceased"
_INTERNAL_ERROR = "Internal error"


class _Echo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The person who was matched."""

    nino: str
    date_of_birth: str = ""

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class PersonalDataVerificationClient:
    """Client of PDV, which compares whole names."""

    method = _PDV_METHOD

    def __init__(self, api: UpstreamClient, tokens: TokenCache, path: str) -> None:
        """Call *path* of *api* with *tokens*."""
        self._api = AuthorisedClient(api, tokens, is_token_refusal)
        self._path = path

    async def match(self, person: PersonDetails, correlation_id: str | None) -> Evidence:
        """Return the evidence of the match."""
        answer = await self._api.request(
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
        if answer.is_success:
            return _matched(self._api.client, person, answer)
        raise self._refusal(answer)

    def _refusal(self, answer: UpstreamResponse) -> Exception:
        if answer.status == HTTPStatus.FAILED_DEPENDENCY:
            # The body is text, although its media type may be JSON.
            is_death = _DECEASED in answer.body.lower()
            return (
                PersonDeceased() if is_death else UnusableResponse(answer.department, "unknown 424")
            )
        error = answer.decode(HmrcErrorBody)
        check_access(self._api.client, answer, error)
        if answer.status == HTTPStatus.UNAUTHORIZED and _is_about_a_person(error.errors):
            return NoMatch()
        return UnusableResponse(answer.department, f"status {answer.status}")


def _is_about_a_person(errors: object) -> bool:
    """Tell whether *errors* report that no person was found: a text, or a list of texts.

    HMRC uses the same member to report that its matching failed.
    """
    texts = errors if isinstance(errors, list) else [errors]
    return bool(texts) and all(
        isinstance(one, str) and one and not one.startswith(_INTERNAL_ERROR) for one in texts
    )


def _matched(api: UpstreamClient, person: PersonDetails, answer: UpstreamResponse) -> Evidence:
    echo = answer.decode(_Echo)
    born = person.born.isoformat()
    if (echo.nino.replace(" ", "").upper(), echo.date_of_birth or born) != (person.nino, born):
        api.reject_other_subject()
    return Evidence(
        method=_PDV_METHOD, strength=2, validity=2, transaction=answer.headers.get("x-amz-cf-id")
    )
