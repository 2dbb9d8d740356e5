"""Patients of the simulated PDS and their FHIR `Patient` resources with UK Core extensions.

`people.json` contains test patients that the NHS publishes, and govid's own, with numbers that
begin with 999 000, for cases without a published patient.

Source: NHSDigital/personal-demographics-service-api, karate-tests (patient_9000000009.json).
"""

from collections.abc import Sequence
from datetime import date
from importlib import resources
from typing import Any

import msgspec

from govid.bus.shared.privacy import RedactedStruct


class SimulatedPatient(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record. Dates are as precise as known: `2010`, `2010-10` or `2010-10-22`."""

    number: str
    family: str | None = None
    given: tuple[str, ...] = ()
    prefix: str | None = None
    gender: str | None = None
    born: str | None = None
    postcode: str | None = None
    lines: tuple[str, ...] = ()
    phone: str | None = None
    email: str | None = None
    practice: str | None = None
    version: int = 1
    verification: str = "01"
    died: str | None = None
    death_status: str | None = None
    """1 informal, 2 formal, U removed: entered in error."""
    removal: str | None = None
    """Reason for removal from the practice, such as EMB (embarked)."""
    is_restricted: bool = False
    is_invalidated: bool = False
    is_hidden: bool = False
    """Found by a search, but not by number (as in the NHS's own sandbox)."""
    superseded_by: str | None = None


class _PeopleFile(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `people.json`."""

    published: tuple[SimulatedPatient, ...]
    own: tuple[SimulatedPatient, ...]


class SimulatedPatients:
    """All records by number. They can be added and replaced while the simulator runs."""

    def __init__(self) -> None:
        """Load the records of the file."""
        text = resources.files("govid.nhs.simulator").joinpath("people.json").read_bytes()
        known = msgspec.json.decode(text, type=_PeopleFile)
        self._people = {one.number: one for one in (*known.published, *known.own)}

    def get(self, number: str) -> SimulatedPatient | None:
        """Return the record of *number*, without following `superseded_by`."""
        return self._people.get(number)

    def add(self, person: SimulatedPatient) -> None:
        """Add *person* or replace their record."""
        self._people[person.number] = person

    def list_searchable(self) -> list[SimulatedPatient]:
        """Return the records that a search may find."""
        return [
            one
            for one in self._people.values()
            if one.family and not one.is_invalidated and one.superseded_by is None
        ]


def is_existing_date(text: str) -> bool:
    """Tell whether *text* is a complete and existing date."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


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
