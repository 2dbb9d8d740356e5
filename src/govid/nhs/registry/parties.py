"""Identifies the parties of a BaRS message: organisations by ODS code, services by number."""

from typing import Any

import msgspec

SERVICE_SYSTEM = "https://fhir.nhs.uk/Id/dos-service-id"
NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
_ODS_SYSTEM = "https://fhir.nhs.uk/Id/ods-organization-code"


class BookingSender(msgspec.Struct, frozen=True, kw_only=True):
    """Organisation for which govid books, and the address for replies of practices.

    `ods` is the organisation's code, `endpoint` its number in the Directory of Services.
    """

    ods: str
    endpoint: str


def build_organisation(ods: str) -> dict[str, Any]:
    """Return the `Organization` resource with the code *ods*."""
    return {
        "resourceType": "Organization",
        "identifier": [{"system": _ODS_SYSTEM, "value": ods}],
    }


def build_schedule(service: str) -> dict[str, Any]:
    """Return a `Schedule` resource of *service*; its slots determine which of several it is."""
    return {
        "resourceType": "Schedule",
        "actor": [{"identifier": {"system": SERVICE_SYSTEM, "value": service}}],
    }
