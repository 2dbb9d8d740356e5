"""C9: the two contracts by which HMRC says whether a number belongs to a person."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from govid.hmrc.simulator import HmrcSimulator
from tests.departments.clock import MovingClock
from tests.departments.hmrc.api_requests import MISSING, PDV_PATH, HmrcRequests, reported

OTHER_PDV_PATH = "/individuals/authentication/authenticator/match"
DORIS = {
    "firstName": "Doris",
    "lastName": "Departed",
    "dateOfBirth": "1931-02-03",
    "nino": "ZX000056A",
}
NO_RECORD = {"errors": "CID returned no record"}


@pytest.mark.parametrize("path", [PDV_PATH, OTHER_PDV_PATH])
async def test_pdv_echoes_who_is_who_they_say(asking: HmrcRequests, path: str) -> None:
    answer = await asking.pdv(path=path)
    assert answer.status_code == 200
    assert answer.json() == {
        "firstName": "Jim",
        "lastName": "Ferguson",
        "dateOfBirth": "1948-04-23",
        "nino": "AA000003D",
    }
    assert len(answer.headers["x-amz-cf-id"]) >= 20


@pytest.mark.parametrize(
    "changes",
    [
        {"firstName": "Kenneth", "lastName": "Decerqueira", "dateOfBirth": "1965-07-08"},
        {"firstName": "JIM", "lastName": "ferguson"},
    ],
)
async def test_pdv_knows_others_of_that_number_and_no_capitals(
    asking: HmrcRequests, changes: Mapping[str, object]
) -> None:
    assert (await asking.pdv(changes)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"firstName": "James"},
        {"lastName": "Fergus"},
        {"dateOfBirth": "1948-04-24"},
        {"nino": "AA000004D"},
        {"firstName": "Kenneth"},
    ],
)
async def test_pdv_says_401_of_who_is_not_and_not_why(
    asking: HmrcRequests, changes: Mapping[str, object]
) -> None:
    answer = await asking.pdv(changes)
    assert (answer.status_code, answer.json()) == (401, NO_RECORD)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("label", ["text/plain", "application/json"])
async def test_pdv_says_in_plain_words_that_a_person_has_died_under_either_label(
    asking_simulator: HmrcRequests, simulator: HmrcSimulator, label: str
) -> None:
    simulator.pdv_behaviour.deceased_label = label
    answer = await asking_simulator.pdv(DORIS)
    assert answer.status_code == 424
    assert answer.text == "Request to create account for a deceased user"
    assert answer.headers["content-type"].partition(";")[0] == label


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"firstName": MISSING}, ("MISSING_FIELD", "/firstName")),
        ({"nino": ""}, ("MISSING_FIELD", "/nino")),
        ({"firstName": "José"}, ("INVALID_FIELD", "/firstName")),
        ({"lastName": "x" * 36}, ("INVALID_FIELD", "/lastName")),
        ({"nino": "QQ123456A"}, ("INVALID_FIELD", "/nino")),
        ({"nino": "AA000003"}, ("INVALID_FIELD", "/nino")),
        ({"dateOfBirth": "23/04/1948"}, ("INVALID_FIELD", "/dateOfBirth")),
    ],
)
async def test_pdv_points_to_what_it_cannot_read(
    asking: HmrcRequests, changes: Mapping[str, object], error: tuple[str, str]
) -> None:
    answer = await asking.pdv(changes)
    assert reported(answer) == (400, "BAD_REQUEST")
    assert [(one["code"], one["path"]) for one in answer.json()["errors"]] == [error]


@pytest.mark.parametrize(("scenario", "status"), [("NO_MATCH", 401), ("DECEASED", 424)])
async def test_pdv_plays_its_outcomes(asking: HmrcRequests, scenario: str, status: int) -> None:
    answer = await asking.pdv(headers={"Gov-Test-Scenario": scenario})
    assert answer.status_code == status


async def test_pdv_does_not_always_name_the_exchange(
    asking_simulator: HmrcRequests, simulator: HmrcSimulator
) -> None:
    simulator.pdv_behaviour.includes_exchange_id = False
    assert "x-amz-cf-id" not in (await asking_simulator.pdv()).headers


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_matching_links_to_who_was_matched(asking: HmrcRequests, version: str) -> None:
    answer = await asking.match(version=version)
    assert answer.status_code == 200
    links = answer.json()["_links"]
    match_id = UUID(links["individual"]["href"].rpartition("/")[2])
    assert links == {
        "individual": {
            "name": "GET",
            "title": "Individual Details",
            "href": f"/individuals/matching/{match_id}",
        },
        "self": {"href": "/individuals/matching/"},
    }
    person = await asking.matched(str(match_id), version)
    assert person.json()["individual"]["nino"] == "NA000799C"
    assert set(person.json()["_links"]) == {
        *("income", "employments", "benefits-and-credits", "details", "self")
    }


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"firstName": "Ada"}, 200),
        ({"firstName": "Bmanda"}, 404),
        ({"lastName": "Josling"}, 200),
        ({"lastName": "Jones"}, 404),
        ({"lastName": "Jo"}, 404),
        ({"dateOfBirth": "1960-01-16"}, 404),
        ({"nino": "NA000799D"}, 404),
    ],
)
async def test_matching_compares_a_letter_three_letters_the_number_and_the_birthday(
    asking: HmrcRequests, changes: Mapping[str, object], status: int
) -> None:
    assert (await asking.match(changes)).status_code == status


@pytest.mark.parametrize(("version", "status"), [("1.0", 403), ("2.0", 404)])
async def test_no_match_has_another_status_in_each_version(
    asking: HmrcRequests, version: str, status: int
) -> None:
    played = await asking.match(headers={"Gov-Test-Scenario": "MATCHING_FAILED"}, version=version)
    answer = await asking.match({"lastName": "Other"}, version=version)
    assert (answer.status_code, answer.json()) == (
        status,
        {"code": "MATCHING_FAILED", "message": "There is no match for the information provided"},
    )
    assert played.json() == answer.json()


@pytest.mark.parametrize(
    ("version", "changes", "code", "message"),
    [
        ("2.0", {"firstName": MISSING}, "INVALID_REQUEST", "firstName is required"),
        ("2.0", {"nino": "QQ123456C"}, "INVALID_REQUEST", "Malformed nino submitted"),
        ("2.0", {"nino": "NA000799"}, "INVALID_REQUEST", "Malformed nino submitted"),
        ("1.0", {"dateOfBirth": "1960"}, "BAD_REQUEST", "Malformed dateOfBirth submitted"),
        ("1.0", {"nino": "BC123456"}, "MATCHING_FAILED", "There is no match for the "),
    ],
)
async def test_matching_says_what_it_cannot_read(
    asking: HmrcRequests, version: str, changes: Mapping[str, object], code: str, message: str
) -> None:
    answer = await asking.match(changes, version=version)
    assert answer.json()["code"] == code
    assert answer.json()["message"].startswith(message)


async def test_the_old_version_takes_a_number_without_its_last_letter(asking: HmrcRequests) -> None:
    assert (await asking.match({"nino": "NA000799"}, version="1.0")).status_code == 200


@pytest.mark.parametrize(
    ("correlation_id", "message"),
    [(MISSING, "CorrelationId is required"), ("abc", "Malformed CorrelationId")],
)
async def test_the_new_version_wants_a_correlation_id(
    asking: HmrcRequests, correlation_id: object, message: str
) -> None:
    answer = await asking.match(headers={"CorrelationId": correlation_id})
    assert (answer.status_code, answer.json()) == (
        400,
        {"code": "INVALID_REQUEST", "message": message},
    )


async def test_a_correlation_id_comes_back(asking: HmrcRequests) -> None:
    mine = str(uuid4())
    answer = await asking.match(headers={"CorrelationId": mine})
    assert answer.headers["correlationid"] == mine


async def test_a_match_is_forgotten_after_some_hours(
    asking_simulator: HmrcRequests, clock: MovingClock
) -> None:
    answer = await asking_simulator.match()
    match_id = answer.json()["_links"]["individual"]["href"].rpartition("/")[2]
    clock.ahead = timedelta(hours=5)
    assert reported(await asking_simulator.matched(match_id)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("version", "status", "code"), [("1.0", 403, "INVALID_UUID"), ("2.0", 404, "NOT_FOUND")]
)
async def test_what_is_no_match_id_is_reported_in_each_version(
    asking: HmrcRequests, version: str, status: int, code: str
) -> None:
    assert reported(await asking.matched("abc", version)) == (status, code)
    assert reported(await asking.matched(str(uuid4()), version)) == (404, "NOT_FOUND")
