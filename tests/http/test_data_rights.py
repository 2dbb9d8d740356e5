"""Exporting one's data, and closing an account permanently."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from govid.bus import Database
from govid.gateway.settings import Settings
from tests.http.client import NHS, NIN, PASSWORD, Client
from tests.http.mailbox import Mailbox

EMAIL = NIN["email"]
PATIENT = {"name": "Ada Ashworth", "nhsNumber": "9434765919", "medicalHistory": "Hay fever"}
TAX = {"name": "Ada Ashworth", "taxNumber": "1000057161", "taxYear": "2022-2023", "taxAmount": 12.5}


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    return Mailbox(settings)


async def lived(client: Client) -> str:
    """Register a person who uses everything; return their token."""
    token = await client.citizen()
    await client.until_status(token, "verified")
    assert (await client.post("/api/nhs/patients", PATIENT, token)).status_code == 201
    assert (await client.post("/api/hmrc/tax-records", TAX, token)).status_code == 201
    assert (
        await client.post("/api/nhs/appointments", appointment_request(), token)
    ).status_code == 202
    return token


def appointment_request() -> dict[str, Any]:
    moment = (datetime.now(UTC) + timedelta(days=30)).replace(hour=10, minute=0, second=0)
    return {
        "patient_identifier": "9434765919",
        "requested_datetime": moment.isoformat(timespec="seconds"),
        "doctor_specialty": "GP",
        "reason": "A cough",
    }


async def close(client: Client, token: str, password: str = PASSWORD) -> httpx.Response:
    return await client.http.request(
        "DELETE",
        "/api/auth/account",
        json={"password": password},
        headers={"Authorization": f"Bearer {token}"},
    )


async def until(database: Database, query: str) -> None:
    async with asyncio.timeout(10):
        while not await database.reads.fetchval(query):
            await asyncio.sleep(0.02)


async def test_an_export_holds_everything_but_what_opens_something(
    client: Client, database: Database
) -> None:
    token = await lived(client)
    answer = await client.get("/api/auth/export", token)
    assert answer.status_code == 200
    held = answer.json()
    profile = (await client.get("/api/auth/profile", token)).json()
    assert {name: held["account"][name] for name in ("id", "email", "status", "created_at")} == {
        name: profile[name] for name in ("id", "email", "status", "created_at")
    }
    assert held["account"]["identifier_value"] == "AB123456C"
    assert held["account"]["phone_number"] == "+447123456789"
    assert held["account"]["has_password"] is True
    assert len(held["sessions"]) == 1
    assert held["departments"]["nhs"]["patients"][0]["medical_history"] == "Hay fever"
    assert held["departments"]["nhs"]["appointments"][0]["reason"] == "A cough"
    assert '"tax_amount":12.50' in answer.text
    assert held["events"]["kept_days"] == 90
    stored = await database.reads.fetchval("SELECT password_hash FROM identity.account")
    assert stored not in answer.text
    assert token not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_an_export_holds_nothing_of_others(client: Client) -> None:
    await lived(client)
    other = await client.citizen(NHS)
    answer = await client.get("/api/auth/export", other)
    assert "Ada" not in answer.text
    assert EMAIL not in answer.text
    assert answer.json()["departments"]["hmrc"] == {"tax_records": [], "consents": []}


async def test_a_closed_account_is_empty_and_its_tokens_are_dead(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    token, other = await lived(client), await client.token()
    assert (await close(client, token)).status_code == 204
    for dead in (token, other):
        assert (await client.get("/api/auth/profile", dead)).status_code == 401
    login = {"email": EMAIL, "password": PASSWORD}
    assert (await client.post("/api/auth/login", login)).status_code == 401
    row = await database.reads.fetchrow("SELECT * FROM identity.account")
    assert {name: row[name] for name in ("email", "phone_number", "password_hash")} == {
        "email": None,
        "phone_number": None,
        "password_hash": None,
    }
    assert (row["status"], row["identifier_value"]) == ("closed", "AB123456C")
    assert "closed on" in await mailbox.mail(EMAIL, "Your account was closed")
    await until(database, "SELECT count(*) = 0 FROM identity.letter")


async def test_the_departments_act_when_an_account_is_closed(
    client: Client, database: Database
) -> None:
    token = await lived(client)
    await until(database, "SELECT status = 'CONFIRMED' FROM nhs.appointment")
    await close(client, token)
    await until(database, "SELECT status = 'CANCELLED' FROM nhs.appointment")
    await until(database, "SELECT count(*) = 0 FROM hmrc.tax_record")
    assert await database.reads.fetchval("SELECT count(*) FROM nhs.patient") == 0
    row = await database.reads.fetchrow("SELECT * FROM nhs.appointment")
    assert (row["patient_identifier"], row["reason"]) == ("erased", None)
    query = (
        "SELECT payload::jsonb->>'status' FROM bus.event"
        " WHERE topic = 'nhs.appointment.result' ORDER BY pos DESC LIMIT 1"
    )
    assert await database.reads.fetchval(query) == "CANCELLED"


async def test_the_address_is_free_at_once_and_the_identifier_is_not(client: Client) -> None:
    token = await client.citizen()
    await close(client, token)
    again = await client.register()
    assert again.status_code == 400
    assert again.json()["detail"] == "A user with this NIN already exists"
    assert (await client.register(NHS, email=EMAIL)).status_code == 201


async def test_without_the_password_nothing_is_closed(client: Client) -> None:
    token = await client.citizen()
    answer = await close(client, token, "something else")
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:govid:problem:password-not-confirmed"
    assert (await client.get("/api/auth/profile", token)).status_code == 200


async def test_two_closings_at_once_are_one(client: Client, database: Database) -> None:
    token = await client.citizen()
    answers = await asyncio.gather(*(close(client, token) for _ in range(3)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 204
    query = "SELECT count(*) FROM bus.event WHERE type = 'identity.account.closed'"
    assert await database.reads.fetchval(query) == 1


@pytest.mark.parametrize(
    ("acts", "waiting"),
    [
        (["email"], ["email_change_requested"]),
        (["password"], ["password_changed"]),
        (["email", "password"], ["email_change_requested", "password_changed"]),
    ],
)
async def test_e10_a_notice_that_waits_is_not_taken_back_by_closing(
    client: Client, mailbox: Mailbox, database: Database, acts: list[str], waiting: list[str]
) -> None:
    token = await client.citizen()
    mailbox.folder.write_text("no folder, so no mail can leave")
    for act in acts:
        body = {
            "email": {"email": "thief@example.net", "password": PASSWORD},
            "password": {"current_password": PASSWORD, "password": PASSWORD},
        }[act]
        assert (await client.post(f"/api/auth/{act}", body, token)).status_code in {202, 204}
    assert (await close(client, await client.token())).status_code == 204
    rows = await database.reads.fetch("SELECT kind FROM identity.letter ORDER BY id")
    assert [row["kind"] for row in rows] == [*waiting, "account_closed"]


async def test_emails_with_links_that_have_not_left_go_with_the_account(
    client: Client, database: Database
) -> None:
    token = await client.citizen()
    await client.post("/api/auth/reset", {"email": EMAIL})
    await close(client, token)
    await until(database, "SELECT count(*) = 0 FROM identity.letter")
    query = "SELECT count(*) FROM identity.link WHERE used_at IS NULL"
    assert await database.reads.fetchval(query) == 0
