"""C10: a person's tax records, for applications with that person's consent."""

from typing import Any

import pytest
from msgspec import structs

from govid.hmrc.simulator import HmrcSimulator
from tests.departments.hmrc.api_requests import HmrcRequests, reported
from tests.departments.hmrc.target import reached
from tests.departments.hmrc.tax_requests import OTHER_UTR, SUBJECTS, TaxRequests
from tests.integration.departments import FixedClock


@pytest.fixture
def reading(asking: HmrcRequests) -> TaxRequests:
    return TaxRequests(asking)


@pytest.fixture
def simulated_reading(asking_simulator: HmrcRequests) -> TaxRequests:
    return TaxRequests(asking_simulator)


async def test_the_tax_of_a_year_is_reported_to_the_penny(reading: TaxRequests) -> None:
    answer = await reading.year("tax")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    # As text: a number that has been through a float would look the same in Python.
    assert answer.text == (
        '{"employments":[{"employerPayeReference":"123/AB456","taxTakenOffPay":1990.10},'
        '{"employerPayeReference":"456/CD789","taxTakenOffPay":0.00}],'
        '"pensionsAnnuitiesAndOtherStateBenefits":{"otherPensionsAndRetirementAnnuities":250.55},'
        '"refunds":{"taxRefundedOrSetOff":0.00}}'
    )


INCOME = {
    "employments": [
        {"employerPayeReference": "123/AB456", "payFromEmployment": 22520.65},
        {"employerPayeReference": "456/CD789", "payFromEmployment": 899.0},
    ],
    "pensionsAnnuitiesAndOtherStateBenefits": {
        "otherPensionsAndRetirementAnnuities": 1252.75,
        "incapacityBenefit": 0.0,
    },
}
EMPLOYMENTS = [
    {"employerPayeReference": "123/AB456", "employerName": "Acme Ltd", "offPayrollWorkFlag": False},
    {"employerPayeReference": "456/CD789", "employerName": "Globex plc"},
]


@pytest.mark.parametrize(
    ("subject", "expected"), [("income", INCOME), ("employment", {"employments": EMPLOYMENTS})]
)
async def test_the_income_and_the_employments_of_a_year_are_reported(
    reading: TaxRequests, subject: str, expected: object
) -> None:
    answer = await reading.year(subject)
    assert (answer.status_code, answer.json()) == (200, expected)


async def test_an_account_is_reported(reading: TaxRequests) -> None:
    answer = await reading.account()
    assert answer.status_code == 200
    assert set(answer.json()) == {
        "balanceDetails",
        "chargeDetails",
        "refundDetails",
        "paymentHistoryDetails",
    }
    assert '"totalRefundAmount":355.25' in answer.text


async def test_an_account_is_reported_without_a_day_to_begin_with(reading: TaxRequests) -> None:
    assert (await reading.account(query="")).status_code == 200


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # No data is not found, and not zero.
        ({"year": "2019-20"}, (404, "NOT_FOUND")),
        ({"utr": "1234567890"}, (400, "SA_UTR_INVALID")),
        ({"utr": "100005716"}, (400, "SA_UTR_INVALID")),
        ({"utr": "1000057161K"}, (400, "SA_UTR_INVALID")),
        ({"year": "2024-2025"}, (400, "TAX_YEAR_INVALID")),
        ({"year": "2024-26"}, (400, "TAX_YEAR_INVALID")),
        ({"year": "2024"}, (400, "TAX_YEAR_INVALID")),
        # Of two faults, the reference's.
        ({"utr": "1234567890", "year": "2024"}, (400, "SA_UTR_INVALID")),
        ({"utr": OTHER_UTR}, (401, "UNAUTHORIZED")),
        # Each subject needs its own scope, and a version.
        ({"scope": "read:self-assessment"}, (403, "INVALID_SCOPE")),
        ({"Accept": "*/*"}, (406, "ACCEPT_HEADER_INVALID")),
    ],
)
async def test_a_year_that_may_not_be_read_or_has_no_data_is_refused(
    reading: TaxRequests, subject: str, changes: dict[str, str], expected: tuple[int, str]
) -> None:
    assert reported(await reading.year(subject, **changes)) == expected


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_an_applications_own_token_is_of_no_use(reading: TaxRequests, subject: str) -> None:
    token = f"Bearer {await reading.asking.access_token()}"
    answer = await reading.year(subject, Authorization=token)
    assert reported(answer) == (401, "INCORRECT_ACCESS_TOKEN_TYPE")


@pytest.mark.parametrize(("subject", "accept"), [("tax", "1.2"), ("income", "1.1")])
async def test_each_subject_has_one_version(
    reading: TaxRequests, subject: str, accept: str
) -> None:
    answer = await reading.year(subject, Accept=f"application/vnd.hmrc.{accept}+json")
    assert reported(answer) == (404, "MATCHING_RESOURCE_NOT_FOUND")


async def test_a_renewed_token_reads_and_the_old_one_does_not(reading: TaxRequests) -> None:
    granted = await reading.granted()
    renewed = (await reading.consenting.refresh(granted["refresh_token"])).json()
    old = await reading.year(Authorization=f"Bearer {granted['access_token']}")
    new = await reading.year(Authorization=f"Bearer {renewed['access_token']}")
    assert reported(old) == (401, "INVALID_CREDENTIALS")
    assert new.status_code == 200


@pytest.mark.parametrize("scenario", ["SCHEDULED_MAINTENANCE", "SERVER_ERROR"])
async def test_a_scenario_can_be_played(reading: TaxRequests, scenario: str) -> None:
    answer = await reading.year(Gov_Test_Scenario=scenario)
    assert reported(answer) == (503, scenario)


async def test_an_application_that_is_not_subscribed_reads_nothing(
    simulated_reading: TaxRequests, simulator: HmrcSimulator
) -> None:
    known = simulator.clients[simulator.client_id]
    simulator.clients[simulator.client_id] = structs.replace(known, subscriptions=frozenset())
    answer = await simulated_reading.year()
    assert reported(answer) == (403, "RESOURCE_FORBIDDEN")


async def test_reading_counts_against_the_applications_limit(http: Any) -> None:
    async with reached("in process", HmrcSimulator(clock=FixedClock())) as target:
        reading = TaxRequests(HmrcRequests(target, http(target)))
        statuses = [(await reading.year(subject)).status_code for subject in SUBJECTS]
        statuses.append((await reading.account()).status_code)
    assert statuses == [200, 200, 200, 429]
