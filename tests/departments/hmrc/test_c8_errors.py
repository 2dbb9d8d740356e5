"""C8: the errors that HMRC's platform makes for all its APIs."""

from typing import Any

import httpx
import pytest
from msgspec import structs

from govid.hmrc.simulator import HmrcSimulator
from tests.departments.hmrc.api_requests import MISSING, PDV_PATH, HmrcRequests, reported
from tests.departments.hmrc.target import reached
from tests.departments.hmrc.tax_requests import IDA_UTR, OTHER_UTR, TaxRequests
from tests.integration.departments import FixedClock


@pytest.mark.parametrize(
    ("authorization", "code", "message"),
    [
        (MISSING, "MISSING_CREDENTIALS", "Authentication information is not provided"),
        ("", "MISSING_CREDENTIALS", "Authentication information is not provided"),
        ("Bearer", "INVALID_CREDENTIALS", "Invalid Authentication information provided"),
        ("Bearer x", "INVALID_CREDENTIALS", "Invalid Authentication information provided"),
        ("Basic eDp5", "INVALID_CREDENTIALS", "Invalid Authentication information provided"),
    ],
)
async def test_without_a_token_no_one_is_let_in(
    asking: HmrcRequests, authorization: object, code: str, message: str
) -> None:
    for_pdv = await asking.pdv(headers={"Authorization": authorization})
    for_matching = await asking.match(headers={"Authorization": authorization})
    assert (for_pdv.status_code, for_pdv.json()) == (401, {"code": code, "message": message})
    assert for_matching.json() == for_pdv.json()


async def test_bearer_may_be_written_in_small_letters(asking: HmrcRequests) -> None:
    token = f"bearer {await asking.access_token()}"
    assert (await asking.pdv(headers={"Authorization": token})).status_code == 200


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/vnd.hmrc.2+json", "2.0"]
)
async def test_an_accept_header_without_a_version_is_invalid(
    asking: HmrcRequests, accept: str
) -> None:
    answer = await asking.match(headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.json() == {
        "code": "ACCEPT_HEADER_INVALID",
        "message": "The accept header is missing or invalid",
    }


@pytest.mark.parametrize("version", ["1.1", "3.0", "2.00"])
async def test_a_version_that_there_is_not_is_a_resource_that_there_is_not(
    asking: HmrcRequests, version: str
) -> None:
    answer = await asking.match(version=version)
    assert reported(answer) == (404, "MATCHING_RESOURCE_NOT_FOUND")


async def test_a_path_that_there_is_not_is_reported_in_the_same_words(asking: HmrcRequests) -> None:
    answer = await asking.pdv(path="/individuals/authentication/match")
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "code": "MATCHING_RESOURCE_NOT_FOUND",
            "message": "A resource with the name in the request can not be found in the API",
        },
    )


async def test_another_method_is_not_allowed(asking: HmrcRequests) -> None:
    answer = await asking.http.get(f"{asking.target.url}{PDV_PATH}")
    assert reported(answer) == (405, "METHOD_NOT_ALLOWED")


async def test_an_application_that_is_not_subscribed_is_forbidden(
    asking_simulator: HmrcRequests, simulator: HmrcSimulator
) -> None:
    known = simulator.clients[simulator.client_id]
    simulator.clients[simulator.client_id] = structs.replace(known, subscriptions=frozenset())
    assert reported(await asking_simulator.pdv()) == (403, "RESOURCE_FORBIDDEN")


async def test_a_token_without_the_scope_is_not_enough_for_matching(asking: HmrcRequests) -> None:
    token = f"Bearer {await asking.access_token()}"
    answer = await asking.match(headers={"Authorization": token})
    assert reported(answer) == (403, "INVALID_SCOPE")


async def test_more_than_three_calls_a_second_are_throttled(http: Any) -> None:
    standing = FixedClock()
    async with reached("in process", HmrcSimulator(clock=standing)) as target:
        asking = HmrcRequests(target, http(target))
        statuses = [(await asking.pdv()).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


async def test_of_two_faults_the_first_in_the_order_is_said(asking: HmrcRequests) -> None:
    nobody = {"Authorization": "Bearer x"}
    for_version = await asking.match(headers={**nobody, "Accept": "x"})
    for_token = await asking.match({"nino": MISSING}, {**nobody, "CorrelationId": MISSING})
    for_header = await asking.match({"nino": MISSING}, {"CorrelationId": MISSING})
    assert reported(for_version) == (406, "ACCEPT_HEADER_INVALID")
    assert reported(for_token) == (401, "INVALID_CREDENTIALS")
    assert for_header.json()["message"] == "CorrelationId is required"


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ("SCHEDULED_MAINTENANCE", 503, "SCHEDULED_MAINTENANCE"),
        ("SERVER_ERROR", 503, "SERVER_ERROR"),
        ("INTERNAL_SERVER_ERROR", 500, "INTERNAL_SERVER_ERROR"),
        ("GATEWAY_TIMEOUT", 504, "GATEWAY_TIMEOUT"),
        ("MESSAGE_THROTTLED_OUT", 429, "MESSAGE_THROTTLED_OUT"),
        ("UNAUTHORIZED", 401, "UNAUTHORIZED"),
        ("NONSENSE", 400, "RULE_INCORRECT_GOV_TEST_SCENARIO"),
    ],
)
async def test_a_scenario_can_be_played(
    asking: HmrcRequests, scenario: str, status: int, code: str
) -> None:
    for_pdv = await asking.pdv(headers={"Gov-Test-Scenario": scenario})
    for_matching = await asking.match(headers={"Gov-Test-Scenario": scenario})
    assert reported(for_pdv) == reported(for_matching) == (status, code)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("429", 429, "MESSAGE_THROTTLED_OUT"), ("503", 503, "SERVER_ERROR")],
)
async def test_faults_speak_as_the_platform_does(
    asking_simulator: HmrcRequests, fault: str, status: int, code: str
) -> None:
    answer = await asking_simulator.pdv(headers={"X-Sim-Fault": fault})
    assert reported(answer) == (status, code)


async def test_a_fault_can_be_changed_while_it_runs(asking_simulator: HmrcRequests) -> None:
    where = f"{asking_simulator.target.url}/simulator/hmrc/fault"
    refused = await asking_simulator.http.put(where, content="nonsense")
    changed = await asking_simulator.http.put(where, content="503:1")
    answer = await asking_simulator.pdv(headers={"Authorization": "x"})
    assert (refused.status_code, changed.status_code, answer.status_code) == (400, 204, 503)


async def test_a_simulator_confesses(asking_simulator: HmrcRequests) -> None:
    assert (await asking_simulator.token()).headers["x-simulator"] == "govid"


def test_where_simulators_are_not_allowed_there_is_none() -> None:
    with pytest.raises(RuntimeError, match="may not replace"):
        HmrcSimulator(is_allowed=False)


@pytest.mark.parametrize(
    ("path", "is_known"),
    [
        ("/oauth/token", True),
        ("/individuals/matching/", True),
        ("/simulator/hmrc/fault", True),
        ("/oauth2/token", False),
        ("/personal-demographics/FHIR/R4/Patient", False),
        ("/simulator/nhs/fault", False),
    ],
)
def test_hmrc_knows_its_own_paths(path: str, is_known: bool) -> None:
    assert HmrcSimulator.handles_path(path) is is_known


@pytest.fixture
def reading(asking: HmrcRequests) -> TaxRequests:
    return TaxRequests(asking)


def failed(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the type of an error in the form that one API has for itself."""
    assert set(answer.json()) == {"failure"}
    assert set(answer.json()["failure"]) == {"type", "reason"}
    return answer.status_code, answer.json()["failure"]["type"]


async def test_one_api_says_what_it_has_not_in_a_form_of_its_own(
    asking_simulator: HmrcRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.hmrc.simulator.taxes.ACCOUNTS", {})
    answer = await TaxRequests(asking_simulator).account()
    assert (answer.status_code, answer.json()) == (
        404,
        {"failure": {"type": "NOT_FOUND", "reason": "No data found for the UTR provided."}},
    )


@pytest.mark.parametrize(
    ("utr", "query", "expected"),
    [
        ("1234567890", "", (400, "BAD_REQUEST")),
        (IDA_UTR, "?fromDate=06-04-2024", (400, "BAD_REQUEST")),
        (IDA_UTR, "?fromDate=20240406", (400, "BAD_REQUEST")),
        (OTHER_UTR, "", (403, "FORBIDDEN")),
    ],
)
async def test_a_failure_has_a_type_and_a_reason(
    reading: TaxRequests, utr: str, query: str, expected: tuple[int, str]
) -> None:
    assert failed(await reading.account(utr, query)) == expected


@pytest.mark.parametrize(
    ("scenario", "status"),
    [
        ("BAD_REQUEST", 400),
        ("UNAUTHORISED", 401),
        ("FORBIDDEN", 403),
        ("NOT_FOUND", 404),
        ("INTERNAL_SERVER_ERROR", 500),
        ("SERVICE_UNAVAILABLE", 503),
    ],
)
async def test_every_failure_can_be_played(
    reading: TaxRequests, scenario: str, status: int
) -> None:
    assert failed(await reading.account(Gov_Test_Scenario=scenario)) == (status, scenario)


async def test_what_the_platform_refuses_it_refuses_there_in_its_own_form(
    reading: TaxRequests,
) -> None:
    assert reported(await reading.account(Authorization="Bearer x")) == (401, "INVALID_CREDENTIALS")
    assert reported(await reading.account(Accept="x")) == (406, "ACCEPT_HEADER_INVALID")


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("503", 503, {"failure": {"type": "SERVICE_UNAVAILABLE", "reason": "Service unavailable"}}),
        (
            "429",
            429,
            {
                "code": "MESSAGE_THROTTLED_OUT",
                "message": "The request for the API is throttled as you have exceeded your quota.",
            },
        ),
    ],
)
async def test_an_api_that_is_away_speaks_in_its_own_form_and_its_limit_in_the_platforms(
    asking_simulator: HmrcRequests, fault: str, status: int, body: object
) -> None:
    reading = TaxRequests(asking_simulator)
    token = f"Bearer {(await reading.granted())['access_token']}"
    answer = await reading.account(Authorization=token, X_Sim_Fault=fault)
    assert (answer.status_code, answer.json()) == (status, body)
