"""C2: one patient by number."""

from typing import Any
from uuid import uuid4

import pytest

from govid.nhs.simulator import NhsSimulator
from tests.departments.nhs.target import reached
from tests.departments.nhs.token_requests import MISSING, NhsRequests

INVALIDATED = (
    "Resource that has been marked as invalid was requested - invalid resources cannot be retrieved"
)
SYSTEM = "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode"


def reported(answer: Any) -> tuple[int, str, str, str, str | None]:
    """Return status, code, issue, severity and diagnostics of an OperationOutcome."""
    (issue,) = answer.json()["issue"]
    (coding,) = issue["details"]["coding"]
    assert coding["system"] == SYSTEM
    return (
        answer.status_code,
        coding["code"],
        issue["code"],
        issue["severity"],
        issue.get("diagnostics"),
    )


def displayed(answer: Any) -> str:
    """Return the words for a person in an OperationOutcome."""
    return str(answer.json()["issue"][0]["details"]["coding"][0]["display"])


async def test_a_patient_comes_with_version_and_type(asking: NhsRequests) -> None:
    answer = await asking.pds("/Patient/9000000009")
    patient = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.headers["etag"] == 'W/"2"'
    assert patient["meta"]["versionId"] == "2"
    assert patient["id"] == "9000000009"
    assert patient["birthDate"] == "2010-10-22"
    assert (patient["name"][0]["family"], patient["name"][0]["given"]) == ("Smith", ["Jane"])


async def test_the_ids_of_a_request_are_mirrored(asking: NhsRequests) -> None:
    ids = {"X-Request-ID": str(uuid4()), "X-Correlation-ID": str(uuid4())}
    found = await asking.pds("/Patient/9000000009", headers=ids)
    missed = await asking.pds("/Patient/9111231130", headers=ids)
    assert {name: found.headers[name] for name in ids} == ids
    assert {name: missed.headers[name] for name in ids} == ids


async def test_a_formal_death_is_in_an_extension(asking: NhsRequests) -> None:
    patient = (await asking.pds("/Patient/9000000009")).json()
    (death,) = (
        one for one in patient["extension"] if one["url"].endswith("DeathNotificationStatus")
    )
    status = death["extension"][0]["valueCodeableConcept"]["coding"][0]
    assert status["code"] == "2"
    assert patient["deceasedDateTime"].startswith("2010-10-22")


async def test_of_a_restricted_patient_no_place_is_reported(asking: NhsRequests) -> None:
    patient = (await asking.pds("/Patient/9000000025")).json()
    assert patient["meta"]["security"][0]["code"] == "R"
    assert {"address", "telecom", "generalPractitioner"}.isdisjoint(patient)


async def test_a_record_may_have_no_name_at_all(asking: NhsRequests) -> None:
    patient = (await asking.pds("/Patient/9000000033")).json()
    assert patient["id"] == "9000000033"
    assert "name" not in patient


@pytest.mark.parametrize("number", ["9111231130", "9727194737", "9000000017"])
async def test_a_number_that_no_one_holds_is_information(asking: NhsRequests, number: str) -> None:
    answer = await asking.pds(f"/Patient/{number}")
    assert reported(answer) == (404, "RESOURCE_NOT_FOUND", "not-found", "information", None)
    assert answer.headers["content-type"] == "application/fhir+json"


async def test_an_invalidated_record_is_gone(asking_simulator: NhsRequests) -> None:
    answer = await asking_simulator.pds("/Patient/9990003343")
    assert reported(answer) == (404, "INVALIDATED_RESOURCE", "processing", "error", None)


async def test_a_superseded_number_answers_with_the_new_one(asking_simulator: NhsRequests) -> None:
    answer = await asking_simulator.pds("/Patient/5900053636")
    assert (answer.status_code, answer.json()["id"]) == (200, "9990000018")


@pytest.mark.parametrize(
    ("number", "member", "date"),
    [("9990000026", "birthDate", "1961-04"), ("9990000042", "deceasedDateTime", "2025")],
)
async def test_dates_are_as_precise_as_they_are_known(
    asking_simulator: NhsRequests, number: str, member: str, date: str
) -> None:
    assert (await asking_simulator.pds(f"/Patient/{number}")).json()[member] == date


async def test_why_no_practice_has_a_patient_any_more_is_an_extension(
    asking_simulator: NhsRequests,
) -> None:
    (removal,) = (await asking_simulator.pds("/Patient/9990000077")).json()["extension"]
    coding = removal["extension"][0]["valueCodeableConcept"]["coding"][0]
    assert removal["url"].endswith("Extension-PDS-RemovalFromRegistration")
    assert (coding["system"], coding["code"]) == (
        "https://fhir.nhs.uk/CodeSystem/PDS-RemovalReasonExitCode",
        "EMB",
    )


@pytest.mark.parametrize(
    ("number", "headers", "display"),
    [
        ("9111231130", {}, "Resource not found"),
        ("9000000000", {}, "Resource Id is invalid"),
        (
            "9990003343",
            {},
            INVALIDATED,
        ),
        ("9000000009", {"X-Request-ID": MISSING}, "Required value is missing"),
        ("9000000009", {"X-Request-ID": "xyz"}, "Provided value is invalid"),
        ("9000000009", {"Authorization": MISSING}, "Access Denied - Unauthorised"),
        ("9000000009", {"X-Sim-Fault": "429"}, "Too many requests"),
        ("9000000009", {"X-Sim-Fault": "503"}, "Service unavailable"),
    ],
)
async def test_what_is_wrong_is_displayed_in_the_nhss_words(
    asking_simulator: NhsRequests, number: str, headers: dict[str, object], display: str
) -> None:
    answer = await asking_simulator.pds(f"/Patient/{number}", headers=headers)
    assert displayed(answer) == display


NO_REQUEST_ID = (
    "Invalid request with error - X-Request-ID header must be supplied to access this resource"
)
NO_UUID = "Invalid value - 'xyz' in header 'X-Request-ID'"


@pytest.mark.parametrize(
    ("number", "headers", "expected"),
    [
        ("9000000000", {}, ("INVALID_RESOURCE_ID", "value", "error", None)),
        ("123456789", {}, ("INVALID_RESOURCE_ID", "value", "error", None)),
        ("NHS123456789", {}, ("INVALID_RESOURCE_ID", "value", "error", None)),
        ("x", {}, ("INVALID_RESOURCE_ID", "value", "error", None)),
        (
            "9000000009",
            {"X-Request-ID": MISSING},
            ("MISSING_VALUE", "required", "error", NO_REQUEST_ID),
        ),
        ("9000000009", {"X-Request-ID": "xyz"}, ("INVALID_VALUE", "value", "error", NO_UUID)),
    ],
)
async def test_a_number_or_a_request_id_that_is_none_is_refused(
    asking: NhsRequests, number: str, headers: dict[str, object], expected: tuple[str, ...]
) -> None:
    answer = await asking.pds(f"/Patient/{number}", headers=headers)
    assert reported(answer) == (400, *expected)


@pytest.mark.parametrize(
    ("header", "diagnostics"),
    [
        (MISSING, "Missing Authorization header"),
        ("", "Empty Authorization header"),
        ("Bearer", "Missing access token"),
        ("Bearer nonsense", "Invalid Access Token"),
        ("Basic YTpi", "Invalid token type 'Basic', must be 'Bearer'"),
    ],
)
async def test_who_has_no_good_token_learns_why(
    asking_simulator: NhsRequests, header: object, diagnostics: str
) -> None:
    answer = await asking_simulator.pds("/Patient/9000000009", headers={"Authorization": header})
    assert reported(answer) == (401, "ACCESS_DENIED", "forbidden", "error", diagnostics)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("number", "headers", "code"),
    [
        ("9000000000", {"X-Request-ID": MISSING, "Authorization": MISSING}, "MISSING_VALUE"),
        ("9000000000", {"Authorization": MISSING}, "ACCESS_DENIED"),
        ("9000000000", {}, "INVALID_RESOURCE_ID"),
        ("9111231130", {}, "RESOURCE_NOT_FOUND"),
    ],
)
async def test_of_several_faults_the_first_in_the_order_is_reported(
    asking_simulator: NhsRequests, number: str, headers: dict[str, object], code: str
) -> None:
    answer = await asking_simulator.pds(f"/Patient/{number}", headers=headers)
    assert reported(answer)[1] == code


async def test_more_than_five_a_second_are_too_many(client_key: Any, http: Any) -> None:
    async with reached("in process", NhsSimulator(key=client_key)) as target:
        asking = NhsRequests(target, http(target))
        token = {"Authorization": f"Bearer {await asking.access_token()}"}
        answers = [await asking.pds("/Patient/9000000033", headers=token) for _ in range(8)]
    assert [one.status_code for one in answers[:5]] == [200] * 5
    assert reported(answers[-1]) == (429, "TOO_MANY_REQUESTS", "value", "error", None)
    assert answers[-1].headers["content-type"] == "application/json"


async def test_the_public_sandbox_wants_no_token(client_key: Any, http: Any) -> None:
    simulator = NhsSimulator(key=client_key, mode="open")
    async with reached("in process", simulator) as target:
        answer = await NhsRequests(target, http(target)).pds(
            "/Patient/9000000009", headers={"Authorization": MISSING}
        )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("fault", "code"), [("429", "TOO_MANY_REQUESTS"), ("503", "SERVICE_UNAVAILABLE")]
)
async def test_faults_speak_as_the_department_does(
    asking_simulator: NhsRequests, fault: str, code: str
) -> None:
    answer = await asking_simulator.pds("/Patient/9000000009", headers={"X-Sim-Fault": fault})
    assert reported(answer)[:2] == (int(fault), code)
    assert answer.headers["retry-after"] == "5"


async def test_a_simulator_confesses(asking_simulator: NhsRequests) -> None:
    answer = await asking_simulator.pds("/Patient/9000000009")
    assert answer.headers["x-simulator"] == "govid"


async def test_a_fault_can_be_changed_while_it_runs(asking_simulator: NhsRequests) -> None:
    where = f"{asking_simulator.target.url}/simulator/nhs/fault"
    refused = await asking_simulator.http.put(where, content="nonsense")
    changed = await asking_simulator.http.put(where, content="503:1")
    answer = await asking_simulator.pds("/Patient/9000000009", headers={"Authorization": "x"})
    assert (refused.status_code, changed.status_code, answer.status_code) == (400, 204, 503)


def test_where_simulators_are_refused_none_is_made() -> None:
    with pytest.raises(RuntimeError, match="may not stand in"):
        NhsSimulator(is_allowed=False)
