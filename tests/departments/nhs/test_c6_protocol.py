"""C6: what every Booking and Referral request needs."""

from uuid import UUID

import pytest

from tests.departments.nhs.bars_requests import BarsRequests, reported, target
from tests.departments.nhs.token_requests import MISSING, NhsRequests


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": MISSING}, (401, "SEND_UNAUTHORIZED", "security")),
        ({"Authorization": "Bearer x"}, (401, "SEND_UNAUTHORIZED", "security")),
        ({"X-Request-Id": MISSING}, (400, "BAD_REQUEST", "invalid")),
        ({"X-Correlation-Id": "x"}, (400, "BAD_REQUEST", "invalid")),
        ({"NHSD-Target-Identifier": MISSING}, (400, "BAD_REQUEST", "invalid")),
        ({"NHSD-Target-Identifier": "%%%"}, (400, "PROXY_BAD_REQUEST", "structure")),
        ({"NHSD-Target-Identifier": "e30="}, (400, "PROXY_BAD_REQUEST", "structure")),
        ({"NHSD-Target-Identifier": target("1999")}, (404, "PROXY_NOT_FOUND", "not-found")),
        (
            {"Accept": "application/fhir+json; version=9"},
            (406, "SEND_NOT_ACCEPTABLE", "not-supported"),
        ),
    ],
)
async def test_what_every_call_needs_is_checked(
    booker: BarsRequests, headers: dict[str, object], expected: tuple[int, str, str]
) -> None:
    assert reported(await booker.slots(**headers)) == expected


@pytest.mark.parametrize(
    ("status", "code", "issue"),
    [
        (400, "REC_BAD_REQUEST", "invalid"),
        (401, "SEND_UNAUTHORIZED", "security"),
        (403, "REC_FORBIDDEN", "forbidden"),
        (406, "SEND_NOT_ACCEPTABLE", "not-supported"),
        (408, "REC_TIMEOUT", "timeout"),
        (409, "REC_CONFLICT", "conflict"),
        (422, "REC_UNPROCESSABLE_ENTITY", "processing"),
        (500, "REC_SERVER_ERROR", "exception"),
        (501, "REC_NOT_IMPLEMENTED", "not-supported"),
        (503, "REC_SERVICE_UNAVAILABLE", "transient"),
        (504, "REC_TIMEOUT", "timeout"),
    ],
)
async def test_published_targets_answer_with_errors(
    booker: BarsRequests, status: int, code: str, issue: str
) -> None:
    header = {"NHSD-Target-Identifier": target(f"NHS0001-{status}", "tests")}
    assert reported(await booker.slots(**header)) == (status, code, issue)


@pytest.mark.parametrize("version", ["", "; version=1.0.0"])
@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/Appointment", "GET, POST"),
        ("PUT", "/Appointment/x", "GET, PATCH, PUT, DELETE"),
        ("PATCH", "/Appointment/x", "GET, PATCH, PUT, DELETE"),
        ("DELETE", "/Appointment/x", "GET, PATCH, PUT, DELETE"),
    ],
)
async def test_in_production_there_are_no_verbs_but_messages(
    booker: BarsRequests, method: str, path: str, allow: str, version: str
) -> None:
    answer = await booker.send(
        method, path, {}, headers={"Accept": f"application/fhir+json{version}"}
    )
    assert reported(answer) == (405, "SEND_METHOD_NOT_ALLOWED", "not-supported")
    assert answer.headers["allow"] == allow


async def test_an_error_is_a_whole_operation_outcome(booker: BarsRequests) -> None:
    answer = await booker.slots(Authorization=MISSING)
    outcome = answer.json()
    assert answer.headers["content-type"] == "application/fhir+json"
    assert outcome["resourceType"] == "OperationOutcome"
    assert UUID(outcome["id"])
    assert outcome["meta"]["profile"] == [
        "https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome"
    ]
    (coding,) = outcome["issue"][0]["details"]["coding"]
    assert coding["system"] == "https://fhir.nhs.uk/Codesystem/http-error-codes"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("%%%", (400, "PROXY_BAD_REQUEST", "structure")),
        (target("1999"), (404, "PROXY_NOT_FOUND", "not-found")),
    ],
)
async def test_a_target_that_is_none_is_refused_wherever_it_is_tried(
    asking: NhsRequests, header: str, expected: tuple[int, str, str]
) -> None:
    booker = BarsRequests(asking, await asking.access_token())
    answer = await booker.slots(**{"NHSD-Target-Identifier": header})
    assert reported(answer) == expected


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("%%%", "The base64 decoding of the NHSD-Target-Identifier header failed."),
        ("e30=", "Invalid schema for NHSD-Target-Identifier header"),
    ],
)
async def test_the_proxy_says_in_its_own_words_what_is_wrong_with_a_target(
    booker: BarsRequests, header: str, text: str
) -> None:
    (issue,) = (await booker.slots(**{"NHSD-Target-Identifier": header})).json()["issue"]
    (coding,) = issue["details"]["coding"]
    assert issue["diagnostics"] == text
    assert coding["system"] == "http://hl7.org/fhir/ValueSet/operation-outcome"
