"""C3: patients by their demographic data."""

from typing import Any
from uuid import UUID

import pytest

from govid.nhs.simulator import NhsSimulator
from tests.departments.nhs.target import reached
from tests.departments.nhs.test_c2_pds_get import displayed, reported
from tests.departments.nhs.token_requests import NhsRequests

SMITH = {"family": "Smith", "gender": "female", "birthdate": "eq2010-10-22"}
UNMET = (
    "Invalid search data provided - 'No searches were performed as the search criteria did not "
    "meet the minimum requirements'"
)
UNKNOWN = "Invalid request with error - Additional properties are not allowed ('x' was unexpected)"
NO_BIRTH = "Missing value - 'birth_date/birth_date_range_start/birth_date_range_end'"


async def test_one_is_found(asking: NhsRequests) -> None:
    answer = await asking.pds("/Patient", SMITH)
    found = answer.json()
    assert answer.headers["content-type"] == "application/fhir+json"
    assert (found["resourceType"], found["type"], found["total"]) == ("Bundle", "searchset", 1)
    (entry,) = found["entry"]
    assert entry["search"]["score"] == 1
    assert entry["resource"]["id"] == "9000000009"
    assert entry["fullUrl"].endswith("/Patient/9000000009")


SMYTHE = {"family": "Smythe", "given": "Janet", "birthdate": "eq2005-06-16"}


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ({**SMITH, "email": "jane.smith@example.com", "phone": "01632960587"}, 1),
        ({**SMITH, "given": "Ja*"}, 1),
        ({**SMITH, "address-postalcode": "LS1 6AE"}, 1),
        ({**SMITH, "address-postalcode": "LS*"}, 1),
        ({**SMITH, "general-practitioner": "Y12345"}, 1),
        ({**SMITH, "death-date": "eq2010-10-22"}, 1),
        ({**SMITH, "_exact-match": "true"}, 1),
        ({**SMITH, "_history": "true", "_max-results": "1"}, 1),
        # Two dates are a range.
        ([("family", "Smith"), ("birthdate", "ge2010-10-21"), ("birthdate", "le2010-10-23")], 1),
        # A restricted patient is never found by a place.
        ({**SMYTHE, "address-postalcode": "LS1 6AE"}, 0),
        ({**SMYTHE, "general-practitioner": "Y12345"}, 0),
    ],
)
async def test_one_is_found_by_more_as_well_and_a_restricted_patient_never_by_a_place(
    asking_simulator: NhsRequests, query: object, total: int
) -> None:
    assert (await asking_simulator.pds("/Patient", query)).json()["total"] == total


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ({"family": "Smith", "birthdate": "eq2010-10-22"}, 1),
        ({**SMITH, "email": "deb.trotter@example.com"}, 0),
    ],
)
async def test_name_and_birth_date_are_enough_but_what_else_is_known_has_to_fit(
    asking: NhsRequests, query: dict[str, str], total: int
) -> None:
    assert (await asking.pds("/Patient", query)).json()["total"] == total


async def test_no_one_found_has_no_entry(asking: NhsRequests) -> None:
    found = (await asking.pds("/Patient", {**SMITH, "family": "Nobody"})).json()
    assert found["total"] == 0
    assert "entry" not in found


async def test_too_many_are_a_success_without_a_bundle(asking_simulator: NhsRequests) -> None:
    answer = await asking_simulator.pds("/Patient", {**SMITH, "family": "Sm*"})
    assert reported(answer) == (200, "TOO_MANY_MATCHES", "multiple-matches", "information", None)


async def test_more_than_the_one_that_is_wanted_are_too_many(asking: NhsRequests) -> None:
    answer = await asking.pds("/Patient", {**SMITH, "family": "Sm*", "_max-results": "1"})
    assert reported(answer) == (200, "TOO_MANY_MATCHES", "multiple-matches", "information", None)


async def test_what_is_no_parameter_is_named(asking: NhsRequests) -> None:
    answer = await asking.pds("/Patient", {**SMITH, "x": "1"})
    assert reported(answer) == (400, "ADDITIONAL_PROPERTIES", "invariant", "error", UNKNOWN)


async def test_without_a_token_several_may_be_found(client_key: Any, http: Any) -> None:
    async with reached("in process", NhsSimulator(key=client_key, mode="open")) as target:
        asking = NhsRequests(target, http(target))
        found = (await asking.pds("/Patient", {**SMITH, "family": "Sm*"})).json()
    assert found["total"] == 2
    assert [entry["search"]["score"] for entry in found["entry"]] == [0.8343, 0.8343]


async def test_a_restricted_patient_is_found_by_name(asking: NhsRequests) -> None:
    (entry,) = (await asking.pds("/Patient", SMYTHE)).json()["entry"]
    assert entry["resource"]["meta"]["security"][0]["code"] == "R"
    assert "address" not in entry["resource"]


@pytest.mark.parametrize(
    ("query", "status", "code", "issue", "diagnostics"),
    [
        ({}, 400, "UNSUPPORTED_SERVICE", "processing", None),
        (
            {"x": "1", "birthdate": "nonsense"},
            400,
            "ADDITIONAL_PROPERTIES",
            "invariant",
            UNKNOWN,
        ),
        (
            {"birthdate": "2010"},
            400,
            "INVALID_VALUE",
            "value",
            "Invalid value - '2010' in field 'birthdate'",
        ),
        (
            {"birthdate": "eq2010-02-30"},
            400,
            "INVALID_VALUE",
            "value",
            "Invalid value - 'eq2010-02-30' in field 'birthdate'",
        ),
        (
            {"family": "Smith", "death-date": "2010"},
            400,
            "INVALID_VALUE",
            "value",
            "Invalid value - '2010' in field 'death-date'",
        ),
        (
            {"birthdate": "eq2010-10-22", "_max-results": "2"},
            400,
            "INVALID_SEARCH_DATA",
            "value",
            UNMET,
        ),
        ({"gender": "female"}, 400, "MISSING_VALUE", "required", NO_BIRTH),
        ({"birthdate": "eq2010-10-22"}, 400, "INVALID_SEARCH_DATA", "value", UNMET),
        ({**SMITH, "family": "S*"}, 400, "INVALID_SEARCH_DATA", "value", UNMET),
        (
            {**SMITH, "family": "Smi*", "_fuzzy-match": "true"},
            400,
            "INVALID_SEARCH_DATA",
            "value",
            UNMET,
        ),
        (
            {**SMITH, "address-postcode": "LS1 6AE", "address-postalcode": "LS1 6AE"},
            400,
            "INVALID_SEARCH_DATA",
            "value",
            UNMET,
        ),
        (
            {**SMITH, "_max-results": "2"},
            403,
            "INVALID_VALUE",
            "token",
            None,
        ),
    ],
)
async def test_what_may_not_be_asked_is_refused_in_the_order_of_the_checks(
    asking_simulator: NhsRequests,
    query: dict[str, str],
    status: int,
    code: str,
    issue: str,
    diagnostics: str | None,
) -> None:
    answer = await asking_simulator.pds("/Patient", query)
    assert reported(answer) == (status, code, issue, "error", diagnostics)


@pytest.mark.parametrize(
    ("query", "display"),
    [
        ({}, "Unsupported Service"),
        ({"x": "1"}, "Additional properties should not be included"),
        ({"birthdate": "eq2010-10-22"}, "Search data is invalid"),
        ({**SMITH, "family": "Sm*"}, "Too Many Matches"),
        (
            {**SMITH, "_max-results": "2"},
            "Cannot retrieve more than one result with application-restricted access token",
        ),
    ],
)
async def test_what_is_wrong_is_displayed_in_the_nhss_words(
    asking_simulator: NhsRequests, query: dict[str, str], display: str
) -> None:
    assert displayed(await asking_simulator.pds("/Patient", query)) == display


async def test_a_search_names_itself_too(asking: NhsRequests) -> None:
    answer = await asking.pds("/Patient", SMITH)
    assert UUID(answer.headers["x-request-id"])
