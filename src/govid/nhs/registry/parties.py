"""Who writes to whom in BaRS: organisations by their codes, services by their numbers."""

from typing import Any

import msgspec

SERVICE_SYSTEM = "https://fhir.nhs.uk/Id/dos-service-id"
NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
_ODS_SYSTEM = "https://fhir.nhs.uk/Id/ods-organization-code"


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """For whom govid books, and where practices would write back to.

    `ods` is the organisation's code, `endpoint` its own number in the Directory of Services.
    """

    ods: str
    endpoint: str


def organisation(ods: str) -> dict[str, Any]:
    """Return the `Organization` that has the code *ods*."""
    return {
        "resourceType": "Organization",
        "identifier": [{"system": _ODS_SYSTEM, "value": ods}],
    }


def schedule(service: str) -> dict[str, Any]:
    """Return the `Schedule` of a service; which one of several it is, its slots know."""
    return {
        "resourceType": "Schedule",
        "actor": [{"identifier": {"system": SERVICE_SYSTEM, "value": service}}],
    }
