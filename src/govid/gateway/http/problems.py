"""Translates every error into problem details, a JSON document of RFC 9457.

`detail` is always a sentence for the client. It contains no value of the request and no stack
trace: an exception that is not meant for clients is reduced to its status (I9).
"""

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from govid.bus import ErrorKind, FieldFault, GovidError
from govid.bus.storage.errors import error_members, is_unavailable
from govid.gateway.http.json_body import format_field_problem, parse_validation_message
from govid.gateway.http.request_info import RequestInfo, get_request_info

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

STATUS_BY_KIND = {
    ErrorKind.REFUSED: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.CHANGED: 412,
    ErrorKind.INVALID: 422,
    ErrorKind.UNCONDITIONAL: 428,
    ErrorKind.BUSY: 429,
    ErrorKind.UNAVAILABLE: 503,
}

_SENTENCES = {
    400: ("bad-request", "The request cannot be understood"),
    401: ("authentication-required", "A bearer token is needed here"),
    403: ("forbidden", "This is not allowed"),
    404: ("not-found", "There is nothing at this address"),
    405: ("method-not-allowed", "This address does not support that method"),
    408: ("request-timeout", "The body took too long to arrive"),
    413: ("body-too-large", "The body is larger than this address accepts"),
    414: ("url-too-long", "The address is longer than 2048 bytes"),
    415: ("unsupported-media-type", "The body must be application/json, not compressed"),
    421: ("misdirected-request", "This service is not reached by that name"),
    422: ("invalid-request", "The request is not valid"),
    429: ("too-many-requests", "Too many requests; please try again later"),
    431: ("headers-too-large", "The headers are larger than 16384 bytes"),
    500: ("internal-error", "Something went wrong on our side"),
    503: ("unavailable", "This is not available at the moment; please try again shortly"),
}


_TITLES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
"""Reason phrases of RFC 9110 that the standard library of a supported Python lacks."""


_MISSING = re.compile(
    r"Missing required (?P<place>query|header|path|cookie) parameter '(?P<name>[\w-]{1,64})'"
)


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: tuple[FieldFault, ...] = ()


class ProblemResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An error answer: its status, the content of the problem document, and extra headers."""

    status: int
    code: str
    detail: str
    field_problems: tuple[FieldFault, ...] = ()
    headers: dict[str, str] = {}

    def encode(self, path: str) -> bytes:
        """Return the encoded problem document; *path* is the request's, without its query."""
        return msgspec.json.encode(
            Problem(
                type=f"urn:govid:problem:{self.code}",
                title=_TITLES.get(self.status) or HTTPStatus(self.status).phrase,
                status=self.status,
                detail=self.detail,
                instance=path,
                errors=self.field_problems,
            )
        )


def problem_for_status(status: int, headers: dict[str, str] | None = None) -> ProblemResponse:
    """Return the general problem of *status*; an unknown status becomes 400 or 500."""
    known = (
        status
        if status in _SENTENCES
        else 500
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR
        else 400
    )
    code, detail = _SENTENCES[known]
    return ProblemResponse(status=known, code=code, detail=detail, headers=headers or {})


def problem_for_error(
    error: Exception, info: RequestInfo, names: Mapping[str, str] | None = None
) -> ProblemResponse:
    """Translate *error* into a problem; an unexpected error is logged here, and only here.

    *names* maps arguments of the handler to the names that clients send.
    """
    match error:
        case GovidError():
            return _domain_problem(error)
        case ValidationException():
            return _parameter_problem(error, names or {})
        case HTTPException() if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return problem_for_status(error.status_code, _allow_header(error))
    if is_unavailable(error):
        # The SQLSTATE distinguishes a full disk from a lock or an outage.
        members = {"correlation_id": info.correlation_id, **error_members(error)}
        log.warning("database unavailable", extra=members)
        return problem_for_status(503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    log.error("request failed", exc_info=error, extra={"correlation_id": info.correlation_id})
    problem = problem_for_status(500)
    reference = f"{problem.detail} (reference {info.correlation_id})"
    return msgspec.structs.replace(problem, detail=reference)


def handle_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer *error* with a problem document: the application's only exception handler."""
    info = get_request_info(request.scope)
    problem = problem_for_error(error, info, _wire_names(request))
    return Response(
        problem.encode(info.path),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def _domain_problem(error: GovidError) -> ProblemResponse:
    headers: dict[str, str] = {}
    if error.kind is ErrorKind.UNAUTHENTICATED:
        # RFC 6750, section 3.1: an invalid token is distinguished from a missing one.
        is_invalid = error.code == "invalid-token"
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if is_invalid else "Bearer"
    if (
        error.kind in (ErrorKind.BUSY, ErrorKind.UNAVAILABLE)
        or error.retry_after_seconds is not None
    ):
        headers["Retry-After"] = str(error.retry_after_seconds or RETRY_AFTER_SECONDS)
    return ProblemResponse(
        status=STATUS_BY_KIND[error.kind],
        code=error.code,
        detail=error.detail,
        field_problems=error.field_problems,
        headers=headers,
    )


def _parameter_problem(error: ValidationException, names: Mapping[str, str]) -> ProblemResponse:
    """Name the invalid parameters; the framework's own message quotes the URL and its query."""
    extra = error.extra if isinstance(error.extra, list) else []
    problems = tuple(
        _parameter_field_problem(one, names) for one in extra if isinstance(one, dict)
    ) or (_missing_parameter(error),)
    return msgspec.structs.replace(
        problem_for_status(422), detail=format_field_problem(problems[0]), field_problems=problems
    )


def _missing_parameter(error: ValidationException) -> FieldFault:
    """Return the missing parameter, which the framework names in its message only."""
    found = _MISSING.match(error.detail)
    if found is None:
        return FieldFault(loc=("query",), msg="a parameter is not valid", type="invalid")
    return FieldFault(loc=(found["place"], found["name"]), msg="this is needed", type="missing")


def _parameter_field_problem(extra: dict[str, Any], names: Mapping[str, str]) -> FieldFault:
    source, key = extra.get("source", "body"), str(extra.get("key", ""))
    if key == "data":
        return FieldFault(loc=("body",), msg="a JSON body is needed", type="missing")
    found = parse_validation_message(str(extra.get("message", "")))
    return FieldFault(
        loc=(str(getattr(source, "value", source)), names.get(key, key)),
        msg=found.msg,
        type=found.type,
    )


def _wire_names(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the wire names of the handler's arguments, where they differ from the Python names."""
    handler = request.scope.get("route_handler")
    parameters = handler.parsed_fn_signature.parameters if handler else {}
    return {
        argument: name
        for argument, field in parameters.items()
        if (name := getattr(field.kwarg_definition, "name", None))
    }


def _allow_header(error: HTTPException) -> dict[str, str]:
    """Return the `Allow` header: the supported methods, with HEAD wherever there is GET."""
    found = next((v for k, v in (error.headers or {}).items() if k.lower() == "allow"), None)
    if found is None:
        return {}
    methods = {method.strip() for method in found.split(",")}
    return {"Allow": ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))}
