"""Records say who vouches for them, and none is filed under another person's number (E8)."""

from typing import Any

import pytest

from govid.bus import Database
from tests.http.client import PASSWORD, Client

PATIENTS = "/api/nhs/patients"
TAXES = "/api/hmrc/tax-records"
REFUSED = (
    "SELECT payload->>'account_id' AS account_id FROM bus.event WHERE type = 'nhs.patient.refused'"
)
HOLDER = {
    "email": "holder@example.com",
    "password": PASSWORD,
    "identifierType": "NHS",
    "identifierValue": "9434765919",
}
GARTON = {"givenName": "Bill", "familyName": "Garton", "dateOfBirth": "1946-06-23"}


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"GOVID_DEPARTMENT_LIMITS": False}


def record(number: str = "943 476 5919") -> dict[str, Any]:
    return {"name": "Jane Smith", "nhsNumber": number}


async def verified(client: Client, **changes: Any) -> str:
    token = await client.citizen({**HOLDER, **changes})
    await client.until_status(token, "verified")
    return token


@pytest.mark.parametrize(
    ("held", "filed"),
    [
        ("9434765919", "943 476 5919"),
        ("9434765919", "943-476-5919"),
        ("NHS123456789", "nhs123456789"),
        ("9732110317", "9732110317"),
    ],
)
async def test_e8_a_number_that_was_verified_for_another_account_is_refused_and_recorded(
    client: Client, database: Database, held: str, filed: str
) -> None:
    await verified(client, identifierValue=held)
    token = await client.citizen()
    answer = await client.post(PATIENTS, record(filed), token)
    assert (answer.status_code, answer.json()["type"]) == (
        403,
        "urn:govid:problem:nhs-number-of-another",
    )
    account = (await client.get("/api/auth/profile", token)).json()["id"]
    rows = await database.reads.fetch(REFUSED)
    assert [str(row["account_id"]) for row in rows] == [account]
    assert (await client.get(PATIENTS, token)).json() == []


async def test_e8_a_blocked_holder_keeps_the_number(client: Client, database: Database) -> None:
    await verified(client)
    await database.reads.execute(
        "UPDATE identity.account SET status = 'blocked', status_before = 'verified'"
    )
    token = await client.citizen()
    assert (await client.post(PATIENTS, record(), token)).status_code == 403


@pytest.mark.parametrize("number", ["9434765919", "943 476 5919"])
async def test_e8_ones_own_number_and_a_number_of_no_one_are_filed(
    client: Client, database: Database, number: str
) -> None:
    holder = await verified(client)
    other = await client.citizen()
    own = await client.post(PATIENTS, record(number), holder)
    unused = await client.post(PATIENTS, record("9732110317"), other)
    assert (own.status_code, unused.status_code) == (201, 201)
    assert await database.reads.fetch(REFUSED) == []


async def test_e8_a_claim_that_failed_reserves_no_number(client: Client) -> None:
    failed = await client.citizen(
        {**HOLDER, "identifierValue": "9693632109"}, **{**GARTON, "familyName": "Gartside"}
    )
    await client.until_status(failed, "verification_failed")
    token = await client.citizen()
    assert (await client.post(PATIENTS, record("9693632109"), token)).status_code == 201


async def test_e8_after_ten_refusals_a_day_nothing_more_is_reported(
    client: Client, database: Database
) -> None:
    await verified(client)
    token = await client.citizen()
    refused = [(await client.post(PATIENTS, record(), token)).status_code for _ in range(10)]
    taken = await client.post(PATIENTS, record(), token)
    free = await client.post(PATIENTS, record("9732110317"), token)
    assert refused == [403] * 10
    assert (taken.status_code, free.status_code) == (429, 429)
    assert int(free.headers["retry-after"]) > 80_000
    assert len(await database.reads.fetch(REFUSED)) == 10


async def test_e8_records_that_are_filed_spend_nothing(client: Client) -> None:
    token = await client.citizen()
    answers = [await client.post(PATIENTS, record("9732110317"), token) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [201] * 12


async def test_e8_each_record_says_who_vouches_for_it(client: Client) -> None:
    token = await verified(client, identifierValue="9693632109", **GARTON)
    filed = await client.post(PATIENTS, record("9732110317"), token)
    listed = (await client.get(PATIENTS, token)).json()
    tax = {"name": "J", "taxNumber": "1000057161", "taxYear": "2022-2023", "taxAmount": 1}
    taxed = await client.post(TAXES, tax, token)
    assert filed.json()["source"] == "self-declared"
    assert [(one["nhsNumber"], one["source"]) for one in listed] == [
        ("9693632109", "registry"),
        ("9732110317", "self-declared"),
    ]
    assert taxed.json()["source"] == "self-declared"
    assert (await client.get(TAXES, token)).json() == [taxed.json()]
