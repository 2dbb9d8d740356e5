"""How HMRC's platform refuses govid, as opposed to a citizen.

Source: HMRC Developer Hub, reference guide, "Errors". Codes are fixed; nobody looks at messages.
"""

from http import HTTPStatus

import msgspec

from govid.bus.upstream import Answer, Api, AuthFailed

TOKEN_REFUSED = "INVALID_CREDENTIALS"  # noqa: S105 - HMRC's word for it
"""The token is wrong, or has ended: a new one may help."""

OF_PLATFORM = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""The statuses with which the platform refuses govid."""

NOT_LET_IN = frozenset(
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
"""No new token would help."""


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error in either of two forms: the platform's `code`, or PDV's `errors`."""

    code: object = None
    errors: object = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<ErrorBody>"


def refuses_token(answer: Answer) -> bool:
    """Tell whether *answer* is about our token. Another 401 may be about a person."""
    if answer.status != HTTPStatus.UNAUTHORIZED:
        return False
    return answer.decode(ErrorBody).code == TOKEN_REFUSED


def check_let_in(api: Api, answer: Answer, error: ErrorBody) -> None:
    """Return, if *error* is not that govid may not call *api* at all.

    Raises:
        AuthFailed: it is; the breaker is open now, as every other call would end alike.
    """
    if answer.status in OF_PLATFORM and isinstance(error.code, str) and error.code in NOT_LET_IN:
        api.breaker.trip()
        raise AuthFailed(answer.api, "not let in")
