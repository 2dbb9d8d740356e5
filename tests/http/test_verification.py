"""Verification by claimed facts, against the simulated departments."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from govid.bus import Database
from govid.gateway.settings import Settings
from tests.http.client import PASSWORD, Client
from tests.http.serving import demonstration, serving

GARTON = {
    "givenName": "Bill",
    "familyName": "Garton",
    "dateOfBirth": "1946-06-23",
    "postcode": "dn185dw",
}
STRANGER = {**GARTON, "familyName": "Gartside"}
SMITH = {"givenName": "Jane", "familyName": "Smith", "dateOfBirth": "2010-10-22"}
ROBIN = {"givenName": "Robin", "familyName": "Hidden", "dateOfBirth": "1980-02-29"}
PAUL = {"givenName": "Paul", "familyName": "Partial", "dateOfBirth": "1961-04-05"}
UNA = {"givenName": "Una", "familyName": "Unsure", "dateOfBirth": "1961-04-05"}
RITA = {"givenName": "Rita", "familyName": "Reported", "dateOfBirth": "1950-05-06"}
PERSON = {
    "email": "bill@example.com",
    "password": PASSWORD,
    "identifierType": "NHS",
    "identifierValue": "9693632109",
}
ASKED = "SELECT count(*) FROM bus.event WHERE type = 'identity.verification.requested'"
LOOKED = "SELECT count(*) FROM bus.event WHERE type = 'nhs.verification.evidence_gathered'"
REPORTED_ERROR = "SELECT payload->>'error' FROM bus.event WHERE type = 'nhs.verification.completed'"
FACTS = "SELECT count(*) FROM identity.claimed_facts"
SPENT = "SELECT count(*) FROM identity.verification_attempt WHERE counts"
EVIDENCE = "SELECT * FROM identity.evidence"


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"GOVID_DEPARTMENT_LIMITS": False}


async def again(client: Client, token: str, facts: dict[str, Any] = GARTON) -> Any:
    return await client.post("/api/auth/verification", facts, token)


async def until(database: Database, query: str) -> None:
    async with asyncio.timeout(10):
        while not await database.reads.fetchval(query):
            await asyncio.sleep(0.02)


async def let_go(database: Database, email: str) -> None:
    """Take an account's identifier, as the expiry of its claim would."""
    await database.reads.execute(
        "UPDATE identity.account SET status = 'registered', identifier_type = NULL,"
        " identifier_value = NULL WHERE email = $1",
        email,
    )


async def fail_and_let_go(client: Client, database: Database, email: str) -> None:
    token = await client.citizen(PERSON, email=email, **STRANGER)
    await client.until_status(token, "verification_failed")
    await let_go(database, email)


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Client]:
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            yield Client(http)


async def test_r16_who_is_who_they_say_is_verified_at_level_two(
    client: Client, database: Database
) -> None:
    token = await client.citizen(PERSON, **GARTON)
    profile = await client.until_status(token, "verified")
    assert profile["assurance"] == "P2"
    row = await database.reads.fetchrow(EVIDENCE)
    assert {name: row[name] for name in ("outcome", "method", "strength", "validity")} == {
        "outcome": "match",
        "method": "pds.read",
        "strength": 2,
        "validity": 2,
    }
    assert row["transaction"]
    assert await database.reads.fetchval(SPENT) == 1
    kept = await database.reads.fetchrow("SELECT sealed, confirmed_at FROM identity.claimed_facts")
    assert kept["confirmed_at"] is not None
    assert b"Garton" not in kept["sealed"]


async def test_r16_hmrc_matches_by_what_is_said_too(client: Client, database: Database) -> None:
    jim = {"givenName": "Jim", "familyName": "Ferguson", "dateOfBirth": "1948-04-23"}
    nino = {"identifierType": "NIN", "identifierValue": "AA000003D"}
    token = await client.citizen(PERSON, **nino, **jim)
    assert (await client.until_status(token, "verified"))["assurance"] == "P2"
    row = await database.reads.fetchrow(EVIDENCE)
    assert (row["identifier_type"], row["outcome"], row["strength"]) == ("NIN", "match", 2)


async def test_by_form_only_the_identifier_is_known(client: Client, database: Database) -> None:
    token = await client.citizen(PERSON)
    assert (await client.until_status(token, "verified"))["assurance"] == "P1"
    assert await database.reads.fetchval(LOOKED) == 0
    assert (await again(client, token)).json()["type"].endswith("verified-already")


async def test_r16_who_is_not_fails_and_may_try_once_more(
    client: Client, database: Database
) -> None:
    token = await client.citizen(PERSON, **STRANGER)
    assert (await client.until_status(token, "verification_failed"))["assurance"] == "P0"
    assert await database.reads.fetchval(FACTS) == 0
    answer = await again(client, token)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending_verification")
    assert (await client.until_status(token, "verified"))["assurance"] == "P2"


async def test_r16_the_third_attempt_is_refused_and_no_one_is_asked(
    client: Client, database: Database
) -> None:
    token = await client.citizen(PERSON, **STRANGER)
    await client.until_status(token, "verification_failed")
    assert (await again(client, token, STRANGER)).status_code == 202
    await client.until_status(token, "verification_failed")
    answer = await again(client, token)
    assert (answer.status_code, answer.json()["type"]) == (
        403,
        "urn:govid:problem:attempts-exhausted",
    )
    assert await database.reads.fetchval(ASKED) == 2
    assert await database.reads.fetchval(LOOKED) == 2
    assert await database.reads.fetchval(FACTS) == 0


async def test_r16_one_number_through_many_accounts_is_looked_up_twice(
    client: Client, database: Database
) -> None:
    await fail_and_let_go(client, database, "one@example.com")
    await fail_and_let_go(client, database, "two@example.com")
    third = await client.register(PERSON, **GARTON)
    assert (third.status_code, third.json()["status"]) == (201, "pending_verification")
    token = await client.token(PERSON["email"])
    await client.until_status(token, "verification_failed")
    assert await database.reads.fetchval(ASKED) == 2
    assert await database.reads.fetchval(LOOKED) == 2
    assert (await again(client, token)).status_code == 403


async def test_r16_a_death_is_revealed_to_no_one_and_is_looked_at(
    client: Client, database: Database
) -> None:
    token = await client.citizen(PERSON, identifierValue="9000000009", **SMITH)
    assert (await client.until_status(token, "verification_failed"))["assurance"] == "P0"
    marks = await database.reads.fetchval("SELECT contra_indicators FROM identity.account")
    assert marks == ["deceased"]
    review = await database.reads.fetchrow("SELECT * FROM identity.review_item")
    assert (review["reason"], review["life_event_id"]) == ("deceased", None)
    assert await database.reads.fetchval(REPORTED_ERROR) == "not_matched"
    assert "deceased" not in (await client.get("/api/auth/export", token)).text


async def test_r18_a_reported_death_keeps_a_match_at_level_zero(client: Client) -> None:
    token = await client.citizen(PERSON, identifierValue="9990000042", **RITA)
    assert (await client.until_status(token, "verified"))["assurance"] == "P0"


async def test_r18_a_contra_indicator_bites_at_the_next_request(
    client: Client, database: Database
) -> None:
    token = await client.citizen(PERSON, **GARTON)
    await client.until_status(token, "verified")
    await database.reads.execute("UPDATE identity.account SET contra_indicators = '{doubt}'")
    assert (await client.get("/api/auth/profile", token)).json()["assurance"] == "P0"


@pytest.mark.parametrize(
    ("number", "who", "reviews"),
    [
        ("9727022820", ROBIN, ["restricted"]),
        ("9727022820", STRANGER, ["restricted"]),
        ("9990000026", PAUL, []),
        ("9990000034", UNA, []),
        ("9000000009", SMITH, ["deceased"]),
        ("9000000009", STRANGER, []),
        ("9693632109", STRANGER, []),
        ("9111231130", GARTON, []),
    ],
)
async def test_e3_every_no_looks_the_same_and_spends_one_attempt(
    client: Client, database: Database, number: str, who: dict[str, Any], reviews: list[str]
) -> None:
    token = await client.citizen(PERSON, identifierValue=number, **who)
    profile = await client.until_status(token, "verification_failed")
    export = (await client.get("/api/auth/export", token)).json()
    reported = await database.reads.fetchval(REPORTED_ERROR)
    assert profile["assurance"] == "P0"
    assert [one["is_spent"] for one in export["attempts"]] == [True]
    assert [one.pop("gathered_at")[:2] for one in export["evidence"]] == ["20"]
    assert export["evidence"] == [
        {
            "identifier_type": "NHS",
            "method": "pds.read",
            "strength": 0,
            "validity": 0,
            "transaction": None,
        }
    ]
    assert export["claimed"] is None
    assert reported == "not_matched"
    rows = await database.reads.fetch("SELECT reason FROM identity.review_item")
    assert [row["reason"] for row in rows] == reviews
    assert (await again(client, token, who)).status_code == 202
    await client.until_status(token, "verification_failed")
    assert (await again(client, token, who)).status_code == 403


async def test_r16_an_outage_costs_nothing_and_is_waited_for(
    database: Database, database_url: str, tmp_path: Path, overrides: dict[str, object]
) -> None:
    away = {**overrides, "GOVID_SIM_PATIENT_REGISTRY_FAULT": "503"}
    async with served(demonstration(database_url, tmp_path, **away)) as client:
        token = await client.citizen(PERSON, **STRANGER)
        double = await again(client, token)
    assert (double.status_code, double.json()["type"]) == (
        400,
        "urn:govid:problem:verification-under-way",
    )
    async with served(demonstration(database_url, tmp_path, **overrides)) as client:
        token = await client.token(PERSON["email"])
        await client.until_status(token, "verification_failed", seconds=30)
        assert (await again(client, token)).status_code == 202
        await client.until_status(token, "verified")
    assert await database.reads.fetchval(ASKED) == 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"familyName": None}, ("familyName", "missing")),
        ({"familyName": "1234"}, ("familyName", "name_format")),
        ({"familyName": "x" * 101}, ("familyName", "name_too_long")),
        ({"dateOfBirth": "2999-01-01"}, ("dateOfBirth", "date_in_future")),
        ({"dateOfBirth": "1850-01-01"}, ("dateOfBirth", "date_too_old")),
        ({"postcode": "nowhere"}, ("postcode", "postcode_format")),
    ],
)
async def test_r16_malformed_facts_are_a_422_that_names_the_field(
    client: Client, change: dict[str, Any], fault: tuple[str, str]
) -> None:
    answer = await client.register(PERSON, **{**GARTON, **change})
    assert answer.status_code == 422
    (found,) = answer.json()["errors"]
    assert (found["loc"], found["type"]) == (["body", fault[0]], fault[1])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"familyName": "Παπαδόπουλος"}, ("familyName", "name_not_sendable")),
        ({"givenName": "李"}, ("givenName", "name_not_sendable")),
        ({"familyName": "x" * 36}, ("familyName", "name_not_sendable")),
        ({"givenName": None}, ("givenName", "missing")),
    ],
)
async def test_b2_b5_what_hmrc_cannot_be_asked_is_refused_and_nothing_is_pending(
    client: Client, database: Database, change: dict[str, Any], fault: tuple[str, str]
) -> None:
    nino = {**PERSON, "identifierType": "NIN", "identifierValue": "AA000003D"}
    answer = await client.register(nino, **{**GARTON, **change})
    assert answer.status_code == 422
    (found,) = answer.json()["errors"]
    assert (found["loc"], found["type"]) == (["body", fault[0]], fault[1])
    assert await database.reads.fetchval("SELECT count(*) FROM identity.account") == 0


@pytest.mark.parametrize("family", ["Παπαδόπουλος", "x" * 36, "李"])
async def test_b2_the_same_holds_for_an_account_that_failed(
    client: Client, database: Database, family: str
) -> None:
    nino = {**PERSON, "identifierType": "NIN", "identifierValue": "AA000003D"}
    token = await client.citizen(nino, **STRANGER)
    await client.until_status(token, "verification_failed")
    answer = await again(client, token, {**GARTON, "familyName": family})
    assert answer.status_code == 422
    assert await database.reads.fetchval(SPENT) == 1
    profile = (await client.get("/api/auth/profile", token)).json()
    assert profile["status"] == "verification_failed"


async def test_b5_someone_with_one_name_can_be_verified(client: Client, database: Database) -> None:
    one = {"familyName": "Suharto", "dateOfBirth": "1921-06-08"}
    token = await client.citizen(PERSON, identifierValue="9990000093", **one)
    assert (await client.until_status(token, "verified"))["assurance"] == "P2"


async def test_an_account_without_an_identifier_is_a_422_that_names_it(
    client: Client, database: Database
) -> None:
    token = await client.citizen(PERSON)
    await client.until_status(token, "verified")
    await let_go(database, PERSON["email"])
    answer = await again(client, token)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "identifierValue"]


async def test_an_export_has_what_was_said_and_a_closure_forgets_it(
    client: Client, database: Database
) -> None:
    token = await client.citizen(PERSON, **GARTON)
    await client.until_status(token, "verified")
    held = (await client.get("/api/auth/export", token)).json()
    assert held["account"]["assurance"] == "P2"
    assert (held["claimed"]["family_name"], held["claimed"]["postcode"]) == ("Garton", "DN18 5DW")
    assert [one["is_spent"] for one in held["attempts"]] == [True]
    assert [one["method"] for one in held["evidence"]] == ["pds.read"]
    answer = await client.http.request(
        "DELETE",
        "/api/auth/account",
        json={"password": PASSWORD},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 204
    assert await database.reads.fetchval(FACTS) == 0
    assert await database.reads.fetchrow(EVIDENCE) is None
    left = await database.reads.fetchrow("SELECT * FROM identity.verification_attempt")
    assert (left["account_id"], left["counts"]) == (None, True)


async def test_no_event_carries_what_was_said(client: Client, database: Database) -> None:
    token = await client.citizen(PERSON, **GARTON)
    await client.until_status(token, "verified")
    rows = await database.reads.fetch("SELECT payload::text AS payload FROM bus.event")
    everything = "".join(row["payload"] for row in rows).lower()
    assert "garton" not in everything
    assert "1946" not in everything
    assert "dn18" not in everything
