"""Builds the errors of HMRC's API platform: a fixed code, and a message that may change.

Source: HMRC Developer Hub, reference guide, "Errors".
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response

PLATFORM_ERRORS: Mapping[str, tuple[HTTPStatus, str]] = {
    "BAD_REQUEST": (HTTPStatus.BAD_REQUEST, "Bad request"),
    "MISSING_CREDENTIALS": (
        HTTPStatus.UNAUTHORIZED,
        "Authentication information is not provided",
    ),
    "INVALID_CREDENTIALS": (
        HTTPStatus.UNAUTHORIZED,
        "Invalid Authentication information provided",
    ),
    "UNAUTHORIZED": (HTTPStatus.UNAUTHORIZED, "Bearer token is missing or not authorized"),
    "INCORRECT_ACCESS_TOKEN_TYPE": (
        HTTPStatus.UNAUTHORIZED,
        "The access token type used is not supported when invoking the API",
    ),
    "RESOURCE_FORBIDDEN": (
        HTTPStatus.FORBIDDEN,
        "The application is not subscribed to the API which it is attempting to invoke",
    ),
    "INVALID_SCOPE": (
        HTTPStatus.FORBIDDEN,
        "Can not access the required resource. Ensure this token has all the required scopes.",
    ),
    "FORBIDDEN": (HTTPStatus.FORBIDDEN, "Access is forbidden"),
    "MATCHING_RESOURCE_NOT_FOUND": (
        HTTPStatus.NOT_FOUND,
        "A resource with the name in the request can not be found in the API",
    ),
    "METHOD_NOT_ALLOWED": (HTTPStatus.METHOD_NOT_ALLOWED, "The method is not allowed"),
    "ACCEPT_HEADER_INVALID": (
        HTTPStatus.NOT_ACCEPTABLE,
        "The accept header is missing or invalid",
    ),
    "MESSAGE_THROTTLED_OUT": (
        HTTPStatus.TOO_MANY_REQUESTS,
        "The request for the API is throttled as you have exceeded your quota.",
    ),
    "INTERNAL_SERVER_ERROR": (HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error"),
    "NOT_IMPLEMENTED": (HTTPStatus.NOT_IMPLEMENTED, "This is not implemented"),
    "SERVER_ERROR": (HTTPStatus.SERVICE_UNAVAILABLE, "Service unavailable"),
    "SCHEDULED_MAINTENANCE": (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The API is down for scheduled maintenance",
    ),
    "GATEWAY_TIMEOUT": (HTTPStatus.GATEWAY_TIMEOUT, "The API did not answer in time"),
}


class HmrcError(Exception):
    """An error response of HMRC."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Respond *status* with *code*; *errors* lists details, if there are several."""
        self.status = status
        self.content: dict[str, Any] = {"code": code, "message": message}
        if errors:
            self.content["errors"] = list(errors)
        super().__init__(code)

    @property
    def response(self) -> Response[bytes]:
        """The response."""
        return json_response(self.content, self.status)


def platform_error(code: str) -> HmrcError:
    """Build the platform's error *code*."""
    status, message = PLATFORM_ERRORS[code]
    return HmrcError(status, code, message)


def json_response(content: object, status: HTTPStatus = HTTPStatus.OK) -> Response[bytes]:
    """Build a JSON response with *content*."""
    return Response(
        msgspec.json.encode(content), status_code=int(status), media_type="application/json"
    )


def error_body(status: int, path: str) -> tuple[bytes, str]:
    """Build the body and media type of an error of the platform."""
    del path  # the form does not depend on it
    throttled = status == HTTPStatus.TOO_MANY_REQUESTS
    error = platform_error("MESSAGE_THROTTLED_OUT" if throttled else "SERVER_ERROR")
    return msgspec.json.encode(error.content), "application/json"
