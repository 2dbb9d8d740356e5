"""The errors of PDS, as OperationOutcomes.

Those that the NHS's proxy makes are `application/json`, Spine's own are `application/fhir+json`.
"""

from typing import Any

import msgspec

FHIR = "application/fhir+json"
JSON = "application/json"
_SYSTEM = "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode"


class PdsError(Exception):
    """A refusal of PDS: status, code and the other members of its one issue."""

    def __init__(
        self,
        status: int,
        code: str,
        issue: str,
        display: str,
        diagnostics: str | None = None,
        *,
        severity: str = "error",
        media_type: str = FHIR,
    ) -> None:
        """Refuse with *status* and *code*."""
        self.status = status
        self.media_type = media_type
        self.body = outcome(code, issue, display, diagnostics, severity=severity)
        super().__init__(code)


def outcome(
    code: str, issue: str, display: str, diagnostics: str | None = None, *, severity: str = "error"
) -> bytes:
    """Return an OperationOutcome with one issue."""
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
    """Return the error for something that has to be there."""
    return PdsError(400, "MISSING_VALUE", "required", "Required value is missing", diagnostics)


def invalid_value(diagnostics: str) -> PdsError:
    """Return the error for a value that cannot be read."""
    return PdsError(400, "INVALID_VALUE", "value", "Provided value is invalid", diagnostics)


def invalid_search() -> PdsError:
    """Return the error for criteria that find too much or contradict each other."""
    return PdsError(
        400,
        "INVALID_SEARCH_DATA",
        "value",
        "Search data is invalid",
        "Invalid search data provided - 'No searches were performed as the search criteria did "
        "not meet the minimum requirements'",
    )


def unsupported_service() -> PdsError:
    """Return the error for a request that asks for nothing."""
    return PdsError(400, "UNSUPPORTED_SERVICE", "processing", "Unsupported Service")


def access_denied(diagnostics: str) -> PdsError:
    """Return the error for a token that is missing or no good."""
    return PdsError(
        401,
        "ACCESS_DENIED",
        "forbidden",
        "Access Denied - Unauthorised",
        diagnostics,
        media_type=JSON,
    )


def not_found() -> PdsError:
    """Return the error for a number that nobody holds."""
    return PdsError(
        404, "RESOURCE_NOT_FOUND", "not-found", "Resource not found", severity="information"
    )


def invalidated() -> PdsError:
    """Return the error for a record that was withdrawn."""
    return PdsError(
        404,
        "INVALIDATED_RESOURCE",
        "processing",
        "Resource that has been marked as invalid was requested - "
        "invalid resources cannot be retrieved",
    )


def too_many_requests() -> PdsError:
    """Return the error for more calls than the application may make."""
    return PdsError(429, "TOO_MANY_REQUESTS", "value", "Too many requests", media_type=JSON)


def error_body(status: int, path: str) -> tuple[bytes, str]:
    """Return what the NHS's proxy sends with an error of its own."""
    del path  # one form for all
    if status == 429:  # noqa: PLR2004 - the status itself
        return outcome("TOO_MANY_REQUESTS", "value", "Too many requests"), JSON
    return outcome("SERVICE_UNAVAILABLE", "timeout", "Service unavailable"), JSON
