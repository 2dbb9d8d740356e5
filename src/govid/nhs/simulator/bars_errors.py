"""Errors of BaRS as `OperationOutcome` resources.

The prefix of a code names the party at fault: `SEND_` the sender, `REC_` the receiver, `PROXY_` (or
none) the proxy between them.

Source: NHSDigital/booking-and-referral-fhir-api (examples 1.4.0, ErrorRepository.js).
"""

from collections.abc import Mapping
from http import HTTPStatus
from uuid import uuid4

import msgspec

FHIR_JSON = "application/fhir+json"
_CODES = "https://fhir.nhs.uk/Codesystem/http-error-codes"
_PROXY_CODES = "http://hl7.org/fhir/ValueSet/operation-outcome"
_PROFILE = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome"

RECEIVER_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("REC_BAD_REQUEST", "invalid"),
    401: ("SEND_UNAUTHORIZED", "security"),
    403: ("REC_FORBIDDEN", "forbidden"),
    406: ("SEND_NOT_ACCEPTABLE", "not-supported"),
    408: ("REC_TIMEOUT", "timeout"),
    409: ("REC_CONFLICT", "conflict"),
    422: ("REC_UNPROCESSABLE_ENTITY", "processing"),
    500: ("REC_SERVER_ERROR", "exception"),
    501: ("REC_NOT_IMPLEMENTED", "not-supported"),
    503: ("REC_SERVICE_UNAVAILABLE", "transient"),
    504: ("REC_TIMEOUT", "timeout"),
}
"""Code and issue type of a receiver's error, by status; test targets request them."""


class BarsError(Exception):
    """An error response of BaRS."""

    def __init__(
        self,
        status: int,
        code: str,
        issue: str,
        diagnostics: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Respond with *status* and *code*."""
        self.status = status
        self.headers = headers or {}
        self.body = encode_outcome(status, code, issue, diagnostics)
        super().__init__(code)


def encode_outcome(status: int, code: str, issue: str, diagnostics: str | None = None) -> bytes:
    """Encode an `OperationOutcome` with one issue."""
    system = _PROXY_CODES if code.startswith("PROXY_BAD") else _CODES
    found: dict[str, object] = {
        "severity": "error",
        "code": issue,
        "details": {
            "coding": [{"system": system, "code": code, "display": HTTPStatus(status).phrase}]
        },
    }
    if diagnostics is not None:
        found["diagnostics"] = diagnostics
    return msgspec.json.encode(
        {
            "resourceType": "OperationOutcome",
            "id": str(uuid4()),
            "meta": {"profile": [_PROFILE]},
            "issue": [found],
        }
    )


def receiver_error(status: int, diagnostics: str | None = None) -> BarsError:
    """Return the receiver's error with *status*."""
    code, issue = RECEIVER_ERRORS.get(status, RECEIVER_ERRORS[500])
    return BarsError(status, code, issue, diagnostics)


def bad_request(diagnostics: str) -> BarsError:
    """Return the receiver's error for a request that breaks a rule."""
    return receiver_error(400, diagnostics)


def bad_target(diagnostics: str) -> BarsError:
    """Return the proxy's error for a target that cannot be read."""
    return BarsError(400, "PROXY_BAD_REQUEST", "structure", diagnostics)
