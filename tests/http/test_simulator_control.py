"""The simulated departments of a demonstration can be changed while they run; no others can."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from govid.gateway.app import create_app
from govid.gateway.settings import load_from_environment
from tests.http.client import PASSWORD, Client

NORA = {"number": "9434765919", "family": "Newcomer", "given": ["Nora"], "born": "1970-02-03"}
NOEL = {"nino": "CE731731C", "first": "Noel", "last": "Newcomer", "born": "1970-02-03"}
CLAIMS = {"familyName": "Newcomer", "dateOfBirth": "1970-02-03"}


def a_person(kind: str, value: str, given: str) -> dict[str, str]:
    return {
        "email": "newcomer@example.com",
        "password": PASSWORD,
        "identifierType": kind,
        "identifierValue": value,
        "givenName": given,
        **CLAIMS,
    }


async def test_a_rehearsal_knows_its_departments(visitor: Client) -> None:
    answer = await visitor.get("/simulator")
    assert (answer.status_code, answer.json()) == (200, ["hmrc", "nhs"])


async def test_who_is_introduced_to_the_nhs_is_matched(client: Client) -> None:
    reported = await client.http.put("/simulator/nhs/people", json=NORA)
    assert (reported.status_code, reported.content) == (204, b"")
    token = await client.citizen(a_person("NHS", NORA["number"], "Nora"))
    assert (await client.until_status(token, "verified"))["assurance"] == "P2"


async def test_who_is_introduced_to_hmrc_is_matched(client: Client) -> None:
    assert (await client.http.put("/simulator/hmrc/people", json=NOEL)).status_code == 204
    token = await client.citizen(a_person("NIN", NOEL["nino"], "Noel"))
    assert (await client.until_status(token, "verified"))["assurance"] == "P2"


async def test_a_department_fails_until_it_is_asked_to_stop(client: Client) -> None:
    token = await client.citizen()
    await client.until_status(token, "verified")
    slots = f"/api/nhs/slots?specialty=Cardiology&date={datetime.now(UTC).date()}"
    reported = await client.http.put("/simulator/nhs/fault", content="malformed")
    away = await client.get(slots, token)
    ended = await client.http.put("/simulator/nhs/fault", content="")
    back = await client.get(slots, token)
    assert (reported.status_code, ended.status_code) == (204, 204)
    assert (away.status_code, away.json()["type"]) == (503, "urn:govid:problem:practices-away")
    assert back.status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/simulator/nhs/fault", "canary", 400),
        ("/simulator/nhs/fault", b"\xff", 400),
        ("/simulator/nhs/fault", "503:2", 400),
        ("/simulator/nhs/people", "canary", 400),
        ("/simulator/hmrc/people", '{"nino": "canary"}', 400),
        ("/simulator/dvla/fault", "503", 404),
        ("/simulator/dvla/people", "{}", 404),
    ],
)
async def test_nonsense_changes_nothing_and_is_not_repeated(
    visitor: Client, path: str, body: str | bytes, status: int
) -> None:
    answer = await visitor.http.put(path, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "canary" not in answer.text


def test_in_production_there_is_nothing_to_change(tmp_path: Path) -> None:
    chosen = load_from_environment(
        {
            "GOVID_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            "GOVID_DATA_DIR": tmp_path,
            "GOVID_PATIENT_REGISTRY": "simulator",
            "GOVID_ALLOW_SIMULATORS": True,
        },
        env_file=None,
    )
    assert not [path for path in create_app(chosen)._allow if path.startswith("/simulator")]
