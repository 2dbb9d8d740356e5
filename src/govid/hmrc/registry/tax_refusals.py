"""Maps the errors of the tax APIs: the platform's `code`, and the `failure` of one API.

Unlike in verification, most errors here concern one person's token only, so they do not open the
circuit breaker.

Source: HMRC Developer Hub, reference guide, "Errors"; hmrc/self-assessment-liability-api.
"""

import logging
from http import HTTPStatus

import msgspec

from govid.bus.upstream import (
    CredentialsRejected,
    UnusableResponse,
    UpstreamClient,
    UpstreamResponse,
)
from govid.hmrc.registry.refusals import PLATFORM_STATUSES, TOKEN_REFUSED
from govid.hmrc.registry.taxes import (
    AccessTokenRefused,
    DataNotFound,
    InvalidTaxRequest,
    ReconsentRequired,
    ReferenceNotPermitted,
)

log = logging.getLogger(__name__)

NOT_FOUND = "NOT_FOUND"
INVALID_PARAMETERS = frozenset({"SA_UTR_INVALID", "TAX_YEAR_INVALID", "BAD_REQUEST"})
NOT_PERMITTED = frozenset(
    {
        "UNAUTHORIZED",
        "UNAUTHORISED",
        "FORBIDDEN",
        "CLIENT_NOT_SUBSCRIBED",
        "CLIENT_OR_AGENT_NOT_AUTHORISED",
    }
)
"""The person who consented may not see the records of this reference."""
MISSING_SCOPE = "INVALID_SCOPE"
"""The consent was given before govid requested the scope that is needed now."""
TAX_ACCESS_DENIED = frozenset(
    {
        "MISSING_CREDENTIALS",
        "INCORRECT_ACCESS_TOKEN_TYPE",
        "HTTPS_REQUIRED",
        "RESOURCE_FORBIDDEN",
    }
)
"""Codes by which HMRC denies govid itself access, whatever the consent."""


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    type: object = None


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    code: object = None
    failure: _Failure | None = None


def tax_error(api: UpstreamClient, answer: UpstreamResponse) -> Exception:
    """Return the error that an unsuccessful *answer* means; its message is ignored.

    Raises:
        UnusableResponse: it is not an error body of HMRC.
    """
    body = answer.decode(_Body)
    value = body.code if body.failure is None else body.failure.type
    code = value if isinstance(value, str) else ""
    if code == TOKEN_REFUSED and answer.status == HTTPStatus.UNAUTHORIZED:
        return AccessTokenRefused()
    if code == NOT_FOUND and answer.status == HTTPStatus.NOT_FOUND:
        return DataNotFound()
    if code == MISSING_SCOPE:
        return ReconsentRequired()
    if code in NOT_PERMITTED:
        return ReferenceNotPermitted()
    if code in INVALID_PARAMETERS and answer.status == HTTPStatus.BAD_REQUEST:
        return InvalidTaxRequest()
    if code in TAX_ACCESS_DENIED and answer.status in PLATFORM_STATUSES:
        api.breaker.trip()
        log.error("department.credentials_rejected", extra={"department": answer.department})
        return CredentialsRejected(answer.department, "access denied")
    # For example MATCHING_RESOURCE_NOT_FOUND: that version of the API was withdrawn.
    return UnusableResponse(answer.department, f"status {answer.status}")
