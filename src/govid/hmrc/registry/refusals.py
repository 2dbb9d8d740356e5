"""Maps error bodies of HMRC's API platform to typed errors.

Source: HMRC Developer Hub, reference guide, "Errors". Codes are fixed; messages are ignored.
"""

from http import HTTPStatus

import msgspec

from govid.bus.upstream import CredentialsRejected, UpstreamClient, UpstreamResponse

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


class HmrcErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error body in one of two forms: the platform's `code`, or PDV's `errors`."""

    code: object = None
    errors: object = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


def is_token_refusal(answer: UpstreamResponse) -> bool:
    """Tell whether *answer* refuses govid's access token. Another 401 may be about a person."""
    if answer.status != HTTPStatus.UNAUTHORIZED:
        return False
    return answer.decode(HmrcErrorBody).code == TOKEN_REFUSED


def check_access(api: UpstreamClient, answer: UpstreamResponse, error: HmrcErrorBody) -> None:
    """Check that *error* does not deny govid access to *api*.

    Raises:
        CredentialsRejected: it does. The circuit breaker is open now, because every other call
            would fail too.
    """
    if (
        answer.status in PLATFORM_STATUSES
        and isinstance(error.code, str)
        and error.code in ACCESS_DENIED
    ):
        api.breaker.trip()
        raise CredentialsRejected(answer.department, "access denied")
