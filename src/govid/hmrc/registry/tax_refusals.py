"""How the tax APIs refuse, in two forms: the platform's `code`, and the `failure` of one of them.

Unlike in verification, most refusals here are about one person's token and nobody else's; they open
no breaker.

Source: HMRC Developer Hub, reference guide, "Errors"; hmrc/self-assessment-liability-api.
"""

import logging
from http import HTTPStatus

import msgspec

from govid.bus.upstream import Answer, Api, AuthFailed, Unusable
from govid.hmrc.registry.refusals import OF_PLATFORM, TOKEN_REFUSED
from govid.hmrc.registry.taxes import (
    NoData,
    NotAskable,
    NotPermitted,
    ReconsentRequired,
    TokenRefused,
)

log = logging.getLogger(__name__)

NOT_FOUND = "NOT_FOUND"
INVALID = frozenset({"SA_UTR_INVALID", "TAX_YEAR_INVALID", "BAD_REQUEST"})
NOT_THEIRS = frozenset(
    {
        "UNAUTHORIZED",
        "UNAUTHORISED",
        "FORBIDDEN",
        "CLIENT_NOT_SUBSCRIBED",
        "CLIENT_OR_AGENT_NOT_AUTHORISED",
    }
)
"""The person who consented may not see what belongs to this reference."""
TOO_NARROW = "INVALID_SCOPE"
"""The consent was given before govid asked for what is read now."""
NOT_LET_IN = frozenset(
    {
        "MISSING_CREDENTIALS",
        "INCORRECT_ACCESS_TOKEN_TYPE",
        "HTTPS_REQUIRED",
        "RESOURCE_FORBIDDEN",
    }
)
"""Nobody's consent would help: it is govid that is not let in."""


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    type: object = None


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    code: object = None
    failure: _Failure | None = None


def refusal(api: Api, answer: Answer) -> Exception:
    """Return what *answer*, which is no success, means; nobody looks at its message.

    Raises:
        Unusable: it is no error of HMRC's.
    """
    body = answer.decode(_Body)
    said = body.code if body.failure is None else body.failure.type
    code = said if isinstance(said, str) else ""
    if code == TOKEN_REFUSED and answer.status == HTTPStatus.UNAUTHORIZED:
        return TokenRefused()
    if code == NOT_FOUND and answer.status == HTTPStatus.NOT_FOUND:
        return NoData()
    if code == TOO_NARROW:
        return ReconsentRequired()
    if code in NOT_THEIRS:
        return NotPermitted()
    if code in INVALID and answer.status == HTTPStatus.BAD_REQUEST:
        return NotAskable()
    if code in NOT_LET_IN and answer.status in OF_PLATFORM:
        api.breaker.trip()
        log.error("department.credentials_rejected", extra={"department": answer.api})
        return AuthFailed(answer.api, "not let in")
    # Among them MATCHING_RESOURCE_NOT_FOUND: a version of the API that there is no more.
    return Unusable(answer.api, f"status {answer.status}")
