"""Simulates the API "View Self Assessment Account", which has its own error format.

Source: hmrc/self-assessment-liability-api 0.3.0.
"""

from collections.abc import Mapping
from datetime import date
from http import HTTPStatus

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from govid.hmrc.simulator.clients import SELF_ASSESSMENT
from govid.hmrc.simulator.errors import HmrcError, json_response
from govid.hmrc.simulator.gate import AnyRequest, ApiGateway, requested_scenario, requested_version
from govid.hmrc.simulator.ledger import ACCOUNTS, encode_document
from govid.hmrc.simulator.taxes import is_utr

LIABILITIES_PREFIX = "/individuals/self-assessment/"
LIABILITIES_SCOPE = "read:self-assessment"
LIABILITIES_VERSIONS = ("1.0",)

FAILURES: Mapping[str, tuple[HTTPStatus, str]] = {
    "BAD_REQUEST": (HTTPStatus.BAD_REQUEST, "Invalid request format or parameters"),
    "UNAUTHORISED": (HTTPStatus.UNAUTHORIZED, "Bearer token is missing or not authorised"),
    "FORBIDDEN": (HTTPStatus.FORBIDDEN, "Access to the requested resource is forbidden"),
    "NOT_FOUND": (HTTPStatus.NOT_FOUND, "No data found for the UTR provided."),
    "INTERNAL_SERVER_ERROR": (HTTPStatus.INTERNAL_SERVER_ERROR, "Unexpected error"),
    "SERVICE_UNAVAILABLE": (HTTPStatus.SERVICE_UNAVAILABLE, "Service unavailable"),
}


class LiabilitiesError(Exception):
    """An error response in the API's own format."""

    def __init__(self, kind: str) -> None:
        """Respond with the error *kind*."""
        self.status, self.reason = FAILURES[kind]
        self.content = {"failure": {"type": kind, "reason": self.reason}}
        super().__init__(kind)


class LiabilitiesApi:
    """Serves the Self Assessment account of the person who consented."""

    def __init__(self, gateway: ApiGateway) -> None:
        """Check requests with *gateway*."""
        self._gateway = gateway

    def route(self) -> HTTPRouteHandler:
        """Return the one route."""

        @get(f"{LIABILITIES_PREFIX}breakdown/{{utr:str}}")
        async def breakdown(request: AnyRequest, utr: FromPath[str]) -> Response[bytes]:
            try:
                return self._answer(request, utr)
            except HmrcError as error:
                return error.response
            except LiabilitiesError as failure:
                return json_response(failure.content, failure.status)

        return breakdown

    def _answer(self, request: AnyRequest, utr: str) -> Response[bytes]:
        requested_version(request, LIABILITIES_VERSIONS)
        user = self._gateway.authorise_user(request, SELF_ASSESSMENT, LIABILITIES_SCOPE)
        requested = requested_scenario(request, tuple(FAILURES))
        if requested is not None:
            raise LiabilitiesError(requested)
        if not is_utr(utr) or not _is_day(request.query_params.get("fromDate")):
            raise LiabilitiesError("BAD_REQUEST")
        if user.utr != utr:
            raise LiabilitiesError("FORBIDDEN")
        if utr not in ACCOUNTS:
            raise LiabilitiesError("NOT_FOUND")
        return Response(encode_document(ACCOUNTS[utr]), media_type="application/json")


def unavailable_body() -> bytes:
    """Return the body of a 503 of this API."""
    return msgspec.json.encode(LiabilitiesError("SERVICE_UNAVAILABLE").content)


def _is_day(text: str | None) -> bool:
    """Tell whether *text* is a day; None is allowed."""
    try:
        return text is None or date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
