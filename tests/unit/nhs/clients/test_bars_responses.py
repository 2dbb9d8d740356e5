"""Responses of practices are parsed leniently; what cannot be parsed is an error."""

import json
from typing import Any

import pytest

from govid.bus.upstream import UnusableResponse, UpstreamResponse
from govid.nhs.clients import bars_responses
from govid.nhs.clients.interfaces import PracticeRuleBroken
from govid.nhs.slots import AppointmentStatus

BOOKED = {
    "resourceType": "Appointment",
    "id": "a-1",
    "status": "booked",
    "basedOn": [{"reference": "ServiceRequest/1", "type": "serviceRequest"}],
}


def answer(content: object, status: int = 200) -> UpstreamResponse:
    return UpstreamResponse(
        department="bars", status=status, headers={}, body=json.dumps(content).encode()
    )


def refusal(code: str, status: int) -> UpstreamResponse:
    coding = {"system": "https://fhir.nhs.uk/CodeSystem/http-error-codes", "code": code}
    issue = {"code": "invalid", "details": {"coding": [coding]}}
    return answer({"resourceType": "OperationOutcome", "issue": [issue]}, status)


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("proposed", AppointmentStatus.REQUESTED),
        ("pending", AppointmentStatus.REQUESTED),
        ("waitlist", AppointmentStatus.REQUESTED),
        ("booked", AppointmentStatus.CONFIRMED),
        ("arrived", AppointmentStatus.CONFIRMED),
        ("checked-in", AppointmentStatus.CONFIRMED),
        ("fulfilled", AppointmentStatus.COMPLETED),
        ("noshow", AppointmentStatus.COMPLETED),
        ("cancelled", AppointmentStatus.CANCELLED),
        ("entered-in-error", AppointmentStatus.CANCELLED),
    ],
)
def test_each_status_has_its_word(written: str, status: AppointmentStatus) -> None:
    found = bars_responses.parse_appointment(answer({}), {**BOOKED, "status": written}, "s")
    assert (found.status, found.detail) == (status, written)


@pytest.mark.parametrize("changes", [{"status": "something new"}, {"status": None}])
def test_a_status_that_is_unknown_is_no_answer(changes: dict[str, Any]) -> None:
    with pytest.raises(UnusableResponse):
        bars_responses.parse_appointment(answer({}), {**BOOKED, **changes}, "s")


@pytest.mark.parametrize(
    ("meta", "version"),
    [(None, None), ([], None), ({}, None), ({"versionId": "2"}, "2"), ({"versionId": 2}, "2")],
)
def test_a_version_is_taken_where_there_is_one(meta: object, version: str | None) -> None:
    assert (
        bars_responses.parse_appointment(answer({}), {**BOOKED, "meta": meta}, "s").version
        == version
    )


@pytest.mark.parametrize("text", [None, "soon", "2026-01-05T12:00:00", 5])
def test_what_names_no_moment_is_none(text: object) -> None:
    assert (
        bars_responses.parse_appointment(answer({}), {**BOOKED, "start": text}, "s").start is None
    )
    with pytest.raises(UnusableResponse):
        bars_responses.parse_slot(answer({}), {"id": "slot001", "start": text, "end": text}, "s")


@pytest.mark.parametrize(
    "entry", [None, [], [None], [{"resource": None}], [{"resource": {"resourceType": "Slot"}}]]
)
def test_a_bundle_without_what_is_sought_has_none(entry: object) -> None:
    assert bars_responses.bundle_resources(answer({"entry": entry}), "Appointment") == []
    with pytest.raises(UnusableResponse):
        bars_responses.parse_message_response(answer({"entry": entry}), "s")


def test_a_bundle_that_is_none_is_no_answer() -> None:
    with pytest.raises(UnusableResponse):
        bars_responses.bundle_resources(answer({"entry": "x"}), "Appointment")


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("REC_BAD_REQUEST", 400, PracticeRuleBroken),
        ("REC_UNPROCESSABLE_ENTITY", 422, PracticeRuleBroken),
        ("SEND_BAD_REQUEST", 400, UnusableResponse),
        ("PROXY_NOT_FOUND", 404, UnusableResponse),
        ("REC_FORBIDDEN", 403, UnusableResponse),
    ],
)
def test_only_the_practices_own_rules_are_the_citizens_business(
    code: str, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        bars_responses.raise_refusal(refusal(code, status))


@pytest.mark.parametrize(
    ("code", "status", "refused"),
    [("SEND_UNAUTHORIZED", 401, True), ("REC_FORBIDDEN", 403, False), ("other", 401, False)],
)
def test_a_token_is_refused_by_a_word(code: str, status: int, refused: bool) -> None:
    assert bars_responses.is_token_refusal(refusal(code, status)) is refused
