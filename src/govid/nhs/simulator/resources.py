"""Converts patients to FHIR `Patient` resources with UK Core extensions.

Source: NHSDigital/personal-demographics-service-api, karate-tests (patient_9000000009.json).
"""

from collections.abc import Sequence
from typing import Any

from govid.nhs.simulator.people import SimulatedPatient

_UK = "https://fhir.hl7.org.uk/"
_EN = "https://fhir.nhs.uk/"
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_DEATHS = {
    "1": "Informal - death notice received via an update from a local NHS Organisation such as GP "
    "or Trust",
    "2": "Formal - death notice received from Registrar of Deaths",
    "U": "Removed",
}
_VERIFICATIONS = {
    "01": "Number present and verified",
    "02": "Number present but not traced",
}


def build_patient(person: SimulatedPatient) -> dict[str, Any]:
    """Return the `Patient` resource of *person*, without contact data if restricted."""
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "id": person.number,
        "identifier": [_identifier(person)],
        "meta": _meta(person),
    }
    if person.family is not None or person.given:
        resource["name"] = [_name(person)]
    _set_if_known(resource, "gender", person.gender)
    _set_if_known(resource, "birthDate", person.born)
    _set_if_known(resource, "deceasedDateTime", person.died)
    _set_if_known(resource, "extension", _extensions(person))
    if not person.is_restricted:
        _set_if_known(resource, "address", _addresses(person))
        _set_if_known(resource, "telecom", _telecom(person))
        _set_if_known(resource, "generalPractitioner", _practices(person))
    return resource


def build_searchset(
    entries: Sequence[tuple[SimulatedPatient, float]], base_url: str, timestamp: str
) -> dict[str, Any]:
    """Return a searchset Bundle. Without results it has no `entry`."""
    found: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "timestamp": timestamp,
        "total": len(entries),
    }
    if entries:
        found["entry"] = [
            {
                "fullUrl": f"{base_url}/Patient/{person.number}",
                "search": {"score": score},
                "resource": build_patient(person),
            }
            for person, score in entries
        ]
    return found


def _identifier(person: SimulatedPatient) -> dict[str, Any]:
    coding = {
        "system": f"{_UK}CodeSystem/UKCore-NHSNumberVerificationStatus",
        "version": "1.0.0",
        "code": person.verification,
        "display": _VERIFICATIONS[person.verification],
    }
    return {
        "system": f"{_EN}Id/nhs-number",
        "value": person.number,
        "extension": [
            {
                "url": f"{_UK}StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus",
                "valueCodeableConcept": {"coding": [coding]},
            }
        ],
    }


def _meta(person: SimulatedPatient) -> dict[str, Any]:
    code, display = ("R", "restricted") if person.is_restricted else ("U", "unrestricted")
    return {
        "versionId": str(person.version),
        "security": [{"system": _CONFIDENTIALITY, "code": code, "display": display}],
    }


def _name(person: SimulatedPatient) -> dict[str, Any]:
    name: dict[str, Any] = {
        "id": "123",
        "use": "usual",
        "period": {"start": "2020-01-01"},
        "given": list(person.given),
    }
    _set_if_known(name, "family", person.family)
    if person.prefix is not None:
        name["prefix"] = [person.prefix]
    return name


def _extensions(person: SimulatedPatient) -> list[dict[str, Any]] | None:
    found = []
    if person.death_status is not None:
        found.append(_death(person.death_status, person.died))
    if person.removal is not None:
        found.append(_removal(person.removal))
    return found or None


def _removal(reason: str) -> dict[str, Any]:
    coding = {"system": f"{_EN}CodeSystem/PDS-RemovalReasonExitCode", "code": reason}
    return {
        "url": f"{_EN}StructureDefinition/Extension-PDS-RemovalFromRegistration",
        "extension": [
            {"url": "removalFromRegistrationCode", "valueCodeableConcept": {"coding": [coding]}}
        ],
    }


def _death(status: str, died: str | None) -> dict[str, Any]:
    coding = {
        "system": f"{_UK}CodeSystem/UKCore-DeathNotificationStatus",
        "version": "1.0.0",
        "code": status,
        "display": _DEATHS[status],
    }
    parts: list[dict[str, Any]] = [
        {"url": "deathNotificationStatus", "valueCodeableConcept": {"coding": [coding]}}
    ]
    if died is not None:
        parts.append({"url": "systemEffectiveDate", "valueDateTime": died})
    return {
        "url": f"{_UK}StructureDefinition/Extension-UKCore-DeathNotificationStatus",
        "extension": parts,
    }


def _addresses(person: SimulatedPatient) -> list[dict[str, Any]] | None:
    if person.postcode is None:
        return None
    home: dict[str, Any] = {"id": "456", "use": "home", "postalCode": person.postcode}
    if person.lines:
        home["line"] = list(person.lines)
    return [home]


def _telecom(person: SimulatedPatient) -> list[dict[str, Any]] | None:
    ways = [("phone", person.phone), ("email", person.email)]
    return [
        {"id": str(789 + place), "system": system, "use": "home", "value": value}
        for place, (system, value) in enumerate(ways)
        if value is not None
    ] or None


def _practices(person: SimulatedPatient) -> list[dict[str, Any]] | None:
    if person.practice is None:
        return None
    identifier = {"system": f"{_EN}Id/ods-organization-code", "value": person.practice}
    return [{"id": "254406A3", "type": "Organization", "identifier": identifier}]


def _set_if_known(resource: dict[str, Any], name: str, value: object) -> None:
    if value is not None:
        resource[name] = value
