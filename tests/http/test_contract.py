"""The contract's calls: statuses, shapes and states, one after the other."""

import asyncio
import re
from uuid import UUID

import pytest

from tests.http.client import NHS, NIN, Client

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
USER = [
    "assurance",
    "auth_provider",
    "created_at",
    "email",
    "id",
    "identifierType",
    "identifierValue",
    "phoneNumber",
    "status",
    "updated_at",
]


async def test_welcome(visitor: Client) -> None:
    answer = await visitor.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["message"] == "Welcome to govid"


async def test_a_browser_is_welcomed_in_html(visitor: Client) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = await visitor.http.get("/", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>govid</h1>" in answer.text


async def test_registration(client: Client) -> None:
    answer = await client.register()
    assert answer.status_code == 201
    user = answer.json()
    assert sorted(user) == USER
    assert UUID(user["id"])
    assert user["email"] == NIN["email"]
    assert user["identifierType"] == "NIN"
    assert user["identifierValue"] == "AB123456C"
    assert user["phoneNumber"] == "+447123456789"
    assert user["status"] == "pending_verification"
    assert user["auth_provider"] == "email"
    assert TIME.fullmatch(user["created_at"])
    assert TIME.fullmatch(user["updated_at"])
    assert "password" not in answer.text


async def test_the_phone_number_may_be_left_out_and_the_number_be_written_freely(
    client: Client,
) -> None:
    answer = await client.register(NHS)
    assert answer.json()["phoneNumber"] is None
    spaced = await client.register(identifierValue=" ab 12 34 56 c ")
    assert spaced.json()["identifierValue"] == "AB123456C"


async def test_login_and_profile(client: Client) -> None:
    registered = (await client.register()).json()
    login = await client.post(
        "/api/auth/login", {"email": NIN["email"], "password": NIN["password"]}
    )
    assert login.status_code == 200
    assert sorted(login.json()) == ["access_token", "token_type"]
    profile = await client.get("/api/auth/profile", login.json()["access_token"])
    assert profile.status_code == 200
    assert sorted(profile.json()) == USER
    assert profile.json()["id"] == registered["id"]


async def test_the_departments_answer_is_seen_within_a_second(client: Client) -> None:
    token = await client.citizen(NHS)
    profile = await client.until_status(token, "verified", seconds=5)
    assert profile["identifierValue"] == "NHS123456789"


async def test_patients(client: Client) -> None:
    token = await client.citizen()
    answer = await client.post(
        "/api/nhs/patients", {"name": "Jane Smith", "nhsNumber": "943 476 5919"}, token
    )
    assert answer.status_code == 201
    patient = answer.json()
    assert sorted(patient) == ["id", "medicalHistory", "name", "nhsNumber", "patientId", "source"]
    assert patient["nhsNumber"] == "9434765919"
    assert re.fullmatch(r"P\d{5,}", patient["patientId"])
    assert (await client.get("/api/nhs/patients", token)).json() == [patient]


async def test_no_one_sees_the_records_of_another(client: Client) -> None:
    one = await client.citizen()
    other = await client.citizen(email="other@example.com", identifierValue="AB123457D")
    record = {"name": "Jane Smith", "nhsNumber": "9434765919"}
    assert (await client.post("/api/nhs/patients", record, one)).status_code == 201
    assert (await client.get("/api/nhs/patients", other)).json() == []


async def test_appointments(client: Client) -> None:
    token = await client.citizen(NHS)
    await client.until_status(token, "verified")
    answer = await client.post(
        "/api/nhs/appointments",
        {
            "patient_identifier": "NHS123456789",
            "requested_datetime": "2030-06-03T10:00:00",
            "doctor_specialty": "Cardiology",
        },
        token,
    )
    assert answer.status_code == 202
    appointment = answer.json()
    assert sorted(appointment) == [
        "appointment_id",
        "confirmation_details",
        "confirmed_datetime",
        "created_at",
        "doctor_specialty",
        "patient_identifier",
        "reason",
        "requested_datetime",
        "status",
        "updated_at",
        "user_id",
    ]
    assert appointment["status"] == "REQUESTED"
    assert TIME.fullmatch(appointment["requested_datetime"])
    path = f"/api/nhs/appointments/{appointment['appointment_id']}"
    async with asyncio.timeout(20):
        while (await client.get(path, token)).json()["status"] == "REQUESTED":
            await asyncio.sleep(0.02)
    stranger = await client.citizen()
    assert (await client.get(path, stranger)).status_code == 404


async def test_tax_records(client: Client) -> None:
    token = await client.citizen()
    sent = b'{"name":"J","taxNumber":"1000057161","taxYear":"2022-2023","taxAmount":1234567890.1}'
    answer = await client.http.post(
        "/api/hmrc/tax-records",
        content=sent,
        headers={"content-type": "application/json", "authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 201
    assert '"taxAmount":1234567890.10' in answer.text
    record = answer.json()
    assert sorted(record) == ["id", "name", "source", "taxAmount", "taxId", "taxNumber", "taxYear"]
    assert re.fullmatch(r"T\d{5,}", record["taxId"])
    assert (await client.get("/api/hmrc/tax-records", token)).json() == [record]


async def test_a_long_list_comes_in_pages(client: Client) -> None:
    token = await client.citizen()
    for year in ("2020-2021", "2021-2022", "2022-2023"):
        record = {"name": "J", "taxNumber": "1000057161", "taxYear": year, "taxAmount": "1.50"}
        assert (await client.post("/api/hmrc/tax-records", record, token)).status_code == 201
    first = await client.get("/api/hmrc/tax-records?limit=2", token)
    following = first.links["next"]["url"]
    second = await client.get(following, token)
    assert [each["taxYear"] for each in first.json()] == ["2020-2021", "2021-2022"]
    assert [each["taxYear"] for each in second.json()] == ["2022-2023"]
    assert "link" not in second.headers


class TestDeath:
    """The simulated death."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_SIMULATE_DEATH_EVENT": True, "GOVID_SIMULATE_DEATH_DELAY_SECONDS": 2}

    async def test_it_blocks_the_account_of_its_number(self, client: Client) -> None:
        token = await client.citizen()
        async with asyncio.timeout(10):
            while (await client.get("/api/auth/profile", token)).status_code == 200:
                await asyncio.sleep(0.05)
        refused = await client.get("/api/auth/profile", token)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        login = await client.post(
            "/api/auth/login", {"email": NIN["email"], "password": NIN["password"]}
        )
        assert login.status_code == 403
        assert login.json()["detail"] == "Account is blocked"
