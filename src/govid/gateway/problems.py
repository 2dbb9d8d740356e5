"""Every refusal as a problem document (RFC 9457), whoever refused.

`detail` is always a sentence that a client may read. No value of the request and no trace of ours
gets into it: an exception that is not made for clients is reduced to its status (I9).
"""

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from govid.bus import FieldFault, GovidError, Kind
from govid.bus.storage.errors import error_members, is_unavailable
from govid.gateway.exchange import Exchange, exchange_of
from govid.gateway.faults import explain, sentence

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

STATUS_OF = {
    Kind.REFUSED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.CHANGED: 412,
    Kind.INVALID: 422,
    Kind.UNCONDITIONAL: 428,
    Kind.BUSY: 429,
    Kind.UNAVAILABLE: 503,
}

_SENTENCES = {
    400: ("bad-request", "The request cannot be understood"),
    401: ("authentication-required", "A bearer token is needed here"),
    403: ("forbidden", "This is not allowed"),
    404: ("not-found", "There is nothing at this address"),
    405: ("method-not-allowed", "This address does not take that method"),
    408: ("request-timeout", "The body took too long to arrive"),
    413: ("body-too-large", "The body is larger than this address takes"),
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
"""Where RFC 9110 has a newer name than the standard library of every supported Python."""


_MISSING = re.compile(
    r"Missing required (?P<place>query|header|path|cookie) parameter '(?P<name>[\w-]{1,64})'"
)


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: tuple[FieldFault, ...] = ()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered instead of what was asked for."""

    status: int
    code: str
    detail: str
    faults: tuple[FieldFault, ...] = ()
    headers: dict[str, str] = {}

    def body(self, path: str) -> bytes:
        """Return the document, encoded; *path* is the request's, without its query."""
        return msgspec.json.encode(
            Problem(
                type=f"urn:govid:problem:{self.code}",
                title=_TITLES.get(self.status) or HTTPStatus(self.status).phrase,
                status=self.status,
                detail=self.detail,
                instance=path,
                errors=self.faults,
            )
        )


def plain(status: int, headers: dict[str, str] | None = None) -> Refusal:
    """Return the refusal that stands for nothing but its *status*."""
    known = (
        status
        if status in _SENTENCES
        else 500
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR
        else 400
    )
    code, detail = _SENTENCES[known]
    return Refusal(status=known, code=code, detail=detail, headers=headers or {})


def refusal_of(
    error: Exception, exchange: Exchange, names: Mapping[str, str] | None = None
) -> Refusal:
    """Translate *error*; one that nobody foresaw is logged here, and only here.

    *names* maps arguments of the handler to the names that clients send.
    """
    match error:
        case GovidError():
            return _of_ours(error)
        case ValidationException():
            return _of_parameters(error, names or {})
        case HTTPException() if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return plain(error.status_code, _allow(error))
    if is_unavailable(error):
        # The SQLSTATE tells a full disk from a lock or an outage.
        members = {"correlation_id": exchange.correlation_id, **error_members(error)}
        log.warning("database unavailable", extra=members)
        return plain(503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    log.error("request failed", exc_info=error, extra={"correlation_id": exchange.correlation_id})
    refusal = plain(500)
    reference = f"{refusal.detail} (reference {exchange.correlation_id})"
    return msgspec.structs.replace(refusal, detail=reference)


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer *error*: the application's one exception handler."""
    exchange = exchange_of(request.scope)
    refusal = refusal_of(error, exchange, _wire_names(request))
    return Response(
        refusal.body(exchange.path),
        status_code=refusal.status,
        media_type=MEDIA_TYPE,
        headers=refusal.headers,
    )


def _of_ours(error: GovidError) -> Refusal:
    headers: dict[str, str] = {}
    if error.kind is Kind.UNAUTHENTICATED:
        # A token that is bad is told apart from none (RFC 6750, section 3.1).
        bad = error.code == "invalid-token"
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if bad else "Bearer"
    if error.kind in (Kind.BUSY, Kind.UNAVAILABLE) or error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds or RETRY_AFTER_SECONDS)
    return Refusal(
        status=STATUS_OF[error.kind],
        code=error.code,
        detail=error.detail,
        faults=error.faults,
        headers=headers,
    )


def _of_parameters(error: ValidationException, names: Mapping[str, str]) -> Refusal:
    """Name the wrong parameters; the framework's own message holds the address and its query."""
    extra = error.extra if isinstance(error.extra, list) else []
    faults = tuple(_fault(one, names) for one in extra if isinstance(one, dict))
    if not faults:
        faults = (_missing(error),)
    return msgspec.structs.replace(plain(422), detail=sentence(faults[0]), faults=faults)


def _missing(error: ValidationException) -> FieldFault:
    """Name the parameter that is missing, which the framework says in its message only."""
    found = _MISSING.match(error.detail)
    if found is None:
        return FieldFault(loc=("query",), msg="a parameter is not valid", type="invalid")
    return FieldFault(loc=(found["place"], found["name"]), msg="this is needed", type="missing")


def _fault(extra: dict[str, Any], names: Mapping[str, str]) -> FieldFault:
    source, key = extra.get("source", "body"), str(extra.get("key", ""))
    if key == "data":
        return FieldFault(loc=("body",), msg="a JSON body is needed", type="missing")
    found = explain(str(extra.get("message", "")))
    return FieldFault(
        loc=(str(getattr(source, "value", source)), names.get(key, key)),
        msg=found.msg,
        type=found.type,
    )


def _wire_names(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return what clients call the arguments of the handler, where that is another name."""
    handler = request.scope.get("route_handler")
    parameters = handler.parsed_fn_signature.parameters if handler else {}
    return {
        argument: name
        for argument, field in parameters.items()
        if (name := getattr(field.kwarg_definition, "name", None))
    }


def _allow(error: HTTPException) -> dict[str, str]:
    """Return the methods that an address does take. Where there is GET there is HEAD."""
    found = next((v for k, v in (error.headers or {}).items() if k.lower() == "allow"), None)
    if found is None:
        return {}
    methods = {method.strip() for method in found.split(",")}
    return {"Allow": ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))}
