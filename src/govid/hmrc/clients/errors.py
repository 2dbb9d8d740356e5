"""Maps error bodies of HMRC to typed errors.

Two formats exist: the API platform's `code`, and the `failure` of one tax API. Most errors of the
tax APIs concern one person's token only, so they do not open the circuit breaker.

Source: HMRC Developer Hub, reference guide, "Errors"; hmrc/self-assessment-liability-api. Codes are
fixed; messages are ignored.
"""

import logging
from http import HTTPStatus

import msgspec

from govid.bus.shared.privacy import RedactedStruct
from govid.bus.upstream import (
    CredentialsRejected,
    UnusableResponse,
    UpstreamClient,
    UpstreamResponse,
)
from govid.hmrc.clients.interfaces import (
    AccessTokenRefused,
    DataNotFound,
    InvalidTaxRequest,
    ReconsentRequired,
    ReferenceNotPermitted,
)

log = logging.getLogger(__name__)


TOKEN_REFUSED = "INVALID_CREDENTIALS"  # noqa: S105 - an error code of HMRC
"""The access token is wrong or has expired; a new one may be accepted."""

PLATFORM_STATUSES = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""The statuses by which the platform refuses govid."""

ACCESS_DENIED = frozenset(
    {
        "MISSING_CREDENTIALS",
        "UNAUTHORIZED",
        "INCORRECT_ACCESS_TOKEN_TYPE",
        "HTTPS_REQUIRED",
        "RESOURCE_FORBIDDEN",
        "INVALID_SCOPE",
        "FORBIDDEN",
    }
)
"""Codes by which the platform denies govid access; a new token would not be accepted either."""


class HmrcErrorBody(RedactedStruct, frozen=True, kw_only=True):
    """An error body in one of two forms: the platform's `code`, or PDV's `errors`."""

    code: object = None
    errors: object = None


def is_token_refusal(response: UpstreamResponse) -> bool:
    """Tell whether *response* refuses govid's access token. Another 401 may be about a person."""
    if response.status != HTTPStatus.UNAUTHORIZED:
        return False
    return response.decode(HmrcErrorBody).code == TOKEN_REFUSED


def check_access(api: UpstreamClient, response: UpstreamResponse, error: HmrcErrorBody) -> None:
    """Check that *error* does not deny govid access to *api*.

    Raises:
        CredentialsRejected: it does. The circuit breaker is open now, because every other call
            would fail too.
    """
    if (
        response.status in PLATFORM_STATUSES
        and isinstance(error.code, str)
        and error.code in ACCESS_DENIED
    ):
        api.breaker.trip()
        raise CredentialsRejected(response.department, "access denied")


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


def build_tax_error(api: UpstreamClient, response: UpstreamResponse) -> Exception:
    """Return the error that an unsuccessful *response* means; its message is ignored.

    Raises:
        UnusableResponse: it is not an error body of HMRC.
    """
    body = response.decode(_Body)
    value = body.code if body.failure is None else body.failure.type
    code = value if isinstance(value, str) else ""
    if code == TOKEN_REFUSED and response.status == HTTPStatus.UNAUTHORIZED:
        return AccessTokenRefused()
    if code == NOT_FOUND and response.status == HTTPStatus.NOT_FOUND:
        return DataNotFound()
    if code == MISSING_SCOPE:
        return ReconsentRequired()
    if code in NOT_PERMITTED:
        return ReferenceNotPermitted()
    if code in INVALID_PARAMETERS and response.status == HTTPStatus.BAD_REQUEST:
        return InvalidTaxRequest()
    if code in TAX_ACCESS_DENIED and response.status in PLATFORM_STATUSES:
        api.breaker.trip()
        log.error("department.credentials_rejected", extra={"department": response.department})
        return CredentialsRejected(response.department, "access denied")
    # For example MATCHING_RESOURCE_NOT_FOUND: that version of the API was withdrawn.
    return UnusableResponse(response.department, f"status {response.status}")
