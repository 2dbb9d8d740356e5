"""Quotas over HTTP: what one account may store and how often it may do something."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from govid.bus import Database
from govid.gateway.settings import Settings
from tests.http.client import NHS, NIN, PASSWORD, Client
from tests.http.mailbox import Mailbox
from tests.http.test_bookings import BOOKINGS, appointment_request, free, until

PATIENTS, TAXES = "/api/nhs/patients", "/api/hmrc/tax-records"
APPOINTMENTS, EXPORT = "/api/nhs/appointments", "/api/auth/export"
REACHED = (409, "urn:govid:problem:quota-reached")
EXCEEDED = (429, "urn:govid:problem:rate-exceeded")
PATIENT = {"name": "Ada Ashworth", "nhsNumber": "9434765919"}
SUBJECT = "Set a new password"
TAX = {"name": "Ada Ashworth", "taxNumber": "1000057161", "taxYear": "2022-2023", "taxAmount": 12.5}


@pytest.fixture
def overrides() -> dict[str, object]:
    """Return quotas that few requests reach."""
    return {
        "GOVID_QUOTA_PATIENT_RECORDS": 2,
        "GOVID_QUOTA_TAX_RECORDS": 2,
        "GOVID_QUOTA_LIVE_APPOINTMENTS": 2,
        "GOVID_QUOTA_APPOINTMENT_CHANGES_PER_DAY": 4,
        "GOVID_QUOTA_SLOT_SEARCHES_PER_MINUTE": 3,
        "GOVID_QUOTA_CONSENTS_PER_HOUR": 2,
        "GOVID_QUOTA_EXPORTS_PER_HOUR": 2,
        "GOVID_QUOTA_EMAILS_PER_HOUR": 2,
    }


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"]


def request_for(specialty: str, days: int = 30) -> dict[str, Any]:
    moment = (datetime.now(UTC) + timedelta(days=days)).replace(hour=10, minute=0, second=0)
    return {
        "patient_identifier": "9434765919",
        "requested_datetime": moment.isoformat(timespec="seconds"),
        "doctor_specialty": specialty,
    }


async def statuses(call: Callable[[], Awaitable[httpx.Response]], times: int) -> list[int]:
    return [(await call()).status_code for _ in range(times)]


@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        (PATIENTS, PATIENT, "2 patient records, which is the maximum. Remove one that you filed"),
        (TAXES, TAX, "2 tax records, which is the maximum. Remove one"),
    ],
)
async def test_d3_a_full_store_refuses_and_says_what_to_remove(
    client: Client, path: str, body: dict[str, Any], what: str
) -> None:
    token = await client.citizen()
    first, second, third = [await client.post(path, body, token) for _ in range(3)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert refusal(third) == REACHED
    assert what in third.json()["detail"]
    assert len((await client.get(path, token)).json()) == 2
    bearer = {"Authorization": f"Bearer {token}"}
    removed = await client.http.delete(f"{path}/{first.json()['id']}", headers=bearer)
    assert removed.status_code == 204
    assert (await client.post(path, body, token)).status_code == 201


@pytest.mark.parametrize(("path", "body"), [(PATIENTS, PATIENT), (TAXES, TAX)])
async def test_d3_parallel_requests_do_not_pass_the_last_place(
    client: Client, path: str, body: dict[str, Any]
) -> None:
    token = await client.citizen()
    answers = await asyncio.gather(*(client.post(path, body, token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 6


@pytest.mark.parametrize(("path", "body"), [(PATIENTS, PATIENT), (TAXES, TAX)])
async def test_another_persons_record_is_removed_by_no_one(
    client: Client, path: str, body: dict[str, Any]
) -> None:
    owner, other = await client.citizen(), await client.citizen(NHS)
    record = (await client.post(path, body, owner)).json()["id"]
    bearer = {"Authorization": f"Bearer {other}"}
    assert (await client.http.delete(f"{path}/{record}", headers=bearer)).status_code == 404
    assert len((await client.get(path, owner)).json()) == 1


async def test_e4_live_appointments_are_counted_over_both_routes(client: Client) -> None:
    token = await client.citizen()
    slots = await free(client, token)
    assert (await client.post(BOOKINGS, appointment_request(slots[0]), token)).status_code == 202
    assert (await client.post(APPOINTMENTS, request_for("GP"), token)).status_code == 202
    third = await client.post(APPOINTMENTS, request_for("Cardiology"), token)
    assert refusal(third) == REACHED
    assert "Cancel one" in third.json()["detail"]


@pytest.mark.parametrize("spelling", ["Cardiology", "cardiology", " CARDIOLOGY "])
async def test_e4_one_live_appointment_a_specialty(client: Client, spelling: str) -> None:
    token = await client.citizen()
    assert (await client.post(APPOINTMENTS, request_for("Cardiology"), token)).status_code == 202
    second = await client.post(APPOINTMENTS, request_for(spelling, 31), token)
    assert refusal(second) == REACHED
    assert "this specialty" in second.json()["detail"]


async def test_e4_bookings_moves_and_cancellations_of_a_day_are_counted(client: Client) -> None:
    token = await client.citizen()
    bearer = {"Authorization": f"Bearer {token}"}
    for _ in range(2):
        asked = await client.post(APPOINTMENTS, request_for("Cardiology"), token)
        where = f"{APPOINTMENTS}/{asked.json()['appointment_id']}"
        found = await until(client, token, where, "CONFIRMED")
        known = {"If-Match": found.headers["etag"]}
        assert (await client.http.delete(where, headers=bearer | known)).status_code == 200
    fifth = await client.post(APPOINTMENTS, request_for("Cardiology"), token)
    assert refusal(fifth) == EXCEEDED
    assert 86_000 < int(fifth.headers["retry-after"]) <= 86_400


async def test_e2_searches_for_slots_have_a_rate_for_each_account(client: Client) -> None:
    token, other = await client.citizen(), await client.citizen(NHS)
    await asyncio.gather(*(free(client, token) for _ in range(3)))
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    query = {"specialty": "General practice", "date": day}
    refused = await client.get("/api/nhs/slots", token, params=query)
    assert refusal(refused) == EXCEEDED
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await client.get("/api/nhs/slots", other, params=query)).status_code == 200


async def test_e2_consents_have_a_rate(client: Client) -> None:
    token = await client.citizen()
    await client.until_status(token, "verified")
    answers = [await client.post("/api/hmrc/consent", None, token) for _ in range(3)]
    assert [one.status_code for one in answers[:2]] == [201, 201]
    assert refusal(answers[2]) == EXCEEDED


async def test_d3_exports_have_a_rate(client: Client) -> None:
    token, other = await client.citizen(), await client.citizen(NHS)
    assert await statuses(lambda: client.get(EXPORT, token), 3) == [200, 200, 429]
    assert (await client.get(EXPORT, other)).status_code == 200


async def test_d3_a_client_that_hangs_up_gives_the_place_back(
    client: Client, server: str, database: Database
) -> None:
    token = await client.citizen()
    account_id = (await client.get("/api/auth/profile", token)).json()["id"]
    await database.reads.execute(
        "INSERT INTO nhs.patient (id, account_id, name, nhs_number, medical_history, source,"
        " created_at, updated_at) SELECT gen_random_uuid(), $1, 'Ada', '9434765919',"
        " repeat('\u00e9', 20000), 'citizen', now(), now() FROM generate_series(1, 400)",
        account_id,
    )
    url = httpx.URL(server)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"GET {EXPORT} HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert (await client.get(EXPORT, token)).status_code == 429
    writer.transport.abort()
    async with asyncio.timeout(10):
        while (answer := await client.get(EXPORT, token)).status_code == 429:
            await asyncio.sleep(0.05)
    assert len(answer.json()["departments"]["nhs"]["patients"]) == 400


class TestOff:
    """Quotas of 0."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {
            "GOVID_QUOTA_PATIENT_RECORDS": 0,
            "GOVID_QUOTA_LIVE_APPOINTMENTS": 0,
            "GOVID_QUOTA_LIVE_APPOINTMENTS_PER_SPECIALTY": 0,
            "GOVID_QUOTA_EXPORTS_PER_HOUR": 0,
        }

    async def test_a_quota_of_zero_is_off(self, client: Client) -> None:
        token = await client.citizen()
        wanted = request_for("Cardiology")
        assert await statuses(lambda: client.post(PATIENTS, PATIENT, token), 5) == [201] * 5
        assert await statuses(lambda: client.post(APPOINTMENTS, wanted, token), 5) == [202] * 5
        assert await statuses(lambda: client.get(EXPORT, token), 8) == [200] * 8


async def test_e10_one_recipient_gets_few_mails_whichever_accounts_cause_them(
    client: Client, settings: Settings, database: Database
) -> None:
    tokens = [
        await client.citizen(email=f"sender{one}@example.com", identifierValue=f"AB12345{one}C")
        for one in range(3)
    ]
    for token in tokens:
        answer = await client.post(
            "/api/auth/email", {"email": "victim@example.org", "password": PASSWORD}, token
        )
        assert answer.status_code == 202
    async with asyncio.timeout(10):
        while await database.reads.fetchval("SELECT count(*) FROM identity.letter"):
            await asyncio.sleep(0.02)
    assert len(Mailbox(settings).mails("victim@example.org")) == 2


@pytest.mark.parametrize("stranger", ["10.1.0.1", "192.0.2.7", "2001:db8::7"])
class TestLockedOut:
    """A stranger, in another network than the account holder."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_TRUSTED_PROXIES": "127.0.0.1"}

    async def test_e5_a_strangers_requests_do_not_keep_the_owner_from_a_link(
        self, client: Client, settings: Settings, stranger: str
    ) -> None:
        await client.register()
        there, here = {"X-Forwarded-For": stranger}, {"X-Forwarded-For": "198.51.100.4"}
        wrong = {"email": NIN["email"], "password": "something else"}
        for _ in range(6):
            await client.http.post("/api/auth/login", json=wrong, headers=there)
        # The recipient's quota is five an hour: four by the stranger leave the owner one.
        for _ in range(4):
            await client.http.post("/api/auth/reset", json={"email": NIN["email"]}, headers=there)
        answer = await client.http.post(
            "/api/auth/reset", json={"email": NIN["email"]}, headers=here
        )
        assert answer.status_code == 202
        mailbox = Mailbox(settings)
        links = [await mailbox.token(NIN["email"], SUBJECT, number) for number in range(1, 6)]
        # Also an older link is still good, and its use ends all others.
        body = {"token": links[0], "password": "tangled otter banister"}
        used = await client.http.post("/api/auth/reset/confirm", json=body, headers=here)
        assert used.status_code == 204
        for link in links:
            spent = {"token": link, "password": "another otter banister"}
            answer = await client.http.post("/api/auth/reset/confirm", json=spent, headers=here)
            assert answer.status_code == 400
