"""Records are parsed leniently: unknown members are ignored."""

from typing import Any

import msgspec
import pytest

from govid.nhs.clients.fhir_resources import OperationOutcome, PatientResource


def read(text: str) -> PatientResource:
    return msgspec.json.decode(text, type=PatientResource)


def record_with(**members: Any) -> PatientResource:
    return msgspec.convert({"resourceType": "Patient", "id": "1", **members}, PatientResource)


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"code": code}]}


def test_only_the_id_has_to_be_there() -> None:
    record = read('{"resourceType":"Patient","id":"9000000033"}')
    assert (record.id, record.usual_name, record.death_status) == ("9000000033", None, None)
    assert (record.is_restricted, record.is_verified) == (False, False)


def test_nulls_in_arrays_and_unknown_members_do_no_harm() -> None:
    record = read(
        """{"resourceType":"Patient","id":"1","new":{"a":[1]},
            "name":[{"use":"usual","given":[null,"Jane"],"family":"Smith","_given":[{"x":1}]}],
            "address":[{"line":[null,"1 High St"],"_line":[{"extension":[]},null]}],
            "extension":[{"url":"https://example.com/unknown","valueString":"x"}]}"""
    )
    assert record.usual_name is not None
    assert record.usual_name.given == [None, "Jane"]


@pytest.mark.parametrize("code", ["R", "V", "REDACTED", "something new"])
def test_whatever_is_not_unrestricted_is_restricted(code: str) -> None:
    assert record_with(meta={"security": [{"code": code}]}).is_restricted


@pytest.mark.parametrize(
    "url",
    [
        "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-DeathNotificationStatus",
        "https://fhir.nhs.uk/R4/StructureDefinition/Extension-UKCore-DeathNotificationStatus",
        "https://fhir.nhs.uk/R4/StructureDefinition/DeathNotificationStatus",
    ],
)
def test_an_extension_is_known_by_the_tail_of_its_url(url: str) -> None:
    parts = [
        {"url": "systemEffectiveDate", "valueDateTime": "2010"},
        {"url": "deathNotificationStatus", "valueCodeableConcept": coded("2")},
    ]
    assert record_with(extension=[{"url": url, "extension": parts}]).death_status == "2"


@pytest.mark.parametrize(
    ("code", "value", "is_verified"),
    [
        ("01", "1", True),
        ("number-present-and-verified", "1", True),
        ("02", "1", False),
        ("01", "2", False),
    ],
)
def test_only_a_verified_number_of_this_record_counts(
    code: str, value: str, is_verified: bool
) -> None:
    status = {
        "url": "https://x/Extension-UKCore-NHSNumberVerificationStatus",
        "valueCodeableConcept": coded(code),
    }
    record = record_with(identifier=[{"value": value, "extension": [status]}])
    assert record.is_verified is is_verified


@pytest.mark.parametrize(
    "text",
    [
        '{"resourceType":"OperationOutcome","issue":[]}',
        '{"resourceType":"Patient"}',
        "[]",
    ],
)
def test_what_is_no_patient_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(text)


def test_codes_of_all_issues_are_read() -> None:
    outcome = msgspec.json.decode(
        """{"resourceType":"OperationOutcome","issue":[{"code":"value"},
            {"details":{"coding":[{"code":"A"},{"display":"x"}]}}]}""",
        type=OperationOutcome,
    )
    assert outcome.error_codes == {"A"}


def test_i9_a_repr_names_the_struct_only() -> None:
    assert repr(read('{"resourceType":"Patient","id":"9000000009"}')) == "<Record>"
