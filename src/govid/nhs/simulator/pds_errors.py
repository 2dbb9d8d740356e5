"""Errors of PDS as `OperationOutcome` resources.

Errors of the NHS's proxy are `application/json`, errors of Spine are `application/fhir+json`.
"""

from typing import Any

import msgspec

FHIR_JSON = "application/fhir+json"
PLAIN_JSON = "application/json"
_SYSTEM = "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode"


class PdsError(Exception):
    """Error response of PDS: status, code and the other members of its one issue."""

    def __init__(
        self,
        status: int,
        code: str,
        issue: str,
        display: str,
        diagnostics: str | None = None,
        *,
        severity: str = "error",
        media_type: str = FHIR_JSON,
    ) -> None:
        """Respond with *status* and *code*."""
        self.status = status
        self.media_type = media_type
        self.body = encode_outcome(code, issue, display, diagnostics, severity=severity)
        super().__init__(code)


def encode_outcome(
    code: str, issue: str, display: str, diagnostics: str | None = None, *, severity: str = "error"
) -> bytes:
    """Encode an `OperationOutcome` with one issue."""
    coding = {"system": _SYSTEM, "version": "1", "code": code, "display": display}
    content: dict[str, Any] = {
        "severity": severity,
        "code": issue,
        "details": {"coding": [coding]},
    }
    if diagnostics is not None:
        content["diagnostics"] = diagnostics
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [content]})


def missing_value(diagnostics: str) -> PdsError:
    """Return the error for a missing value."""
    return PdsError(400, "MISSING_VALUE", "required", "Required value is missing", diagnostics)


def invalid_value(diagnostics: str) -> PdsError:
    """Return the error for a malformed value."""
    return PdsError(400, "INVALID_VALUE", "value", "Provided value is invalid", diagnostics)


def invalid_search() -> PdsError:
    """Return the error for criteria that are too broad or contradictory."""
    return PdsError(
        400,
        "INVALID_SEARCH_DATA",
        "value",
        "Search data is invalid",
        "Invalid search data provided - 'No searches were performed as the search criteria did "
        "not meet the minimum requirements'",
    )


def unsupported_service() -> PdsError:
    """Return the error for a search without criteria."""
    return PdsError(400, "UNSUPPORTED_SERVICE", "processing", "Unsupported Service")


def access_denied(diagnostics: str) -> PdsError:
    """Return the error for a missing or invalid access token."""
    return PdsError(
        401,
        "ACCESS_DENIED",
        "forbidden",
        "Access Denied - Unauthorised",
        diagnostics,
        media_type=PLAIN_JSON,
    )


def not_found() -> PdsError:
    """Return the error for a number that is not allocated."""
    return PdsError(
        404, "RESOURCE_NOT_FOUND", "not-found", "Resource not found", severity="information"
    )


def invalidated() -> PdsError:
    """Return the error for an invalidated record."""
    return PdsError(
        404,
        "INVALIDATED_RESOURCE",
        "processing",
        "Resource that has been marked as invalid was requested - "
        "invalid resources cannot be retrieved",
    )


def too_many_requests() -> PdsError:
    """Return the error for an exceeded rate limit."""
    return PdsError(429, "TOO_MANY_REQUESTS", "value", "Too many requests", media_type=PLAIN_JSON)


def proxy_error_body(status: int, path: str) -> tuple[bytes, str]:
    """Return body and media type of an error of the NHS's proxy."""
    del path  # the same for all paths
    if status == 429:  # noqa: PLR2004 - the status itself
        return encode_outcome("TOO_MANY_REQUESTS", "value", "Too many requests"), PLAIN_JSON
    return encode_outcome("SERVICE_UNAVAILABLE", "timeout", "Service unavailable"), PLAIN_JSON
