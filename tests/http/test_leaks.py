"""Nothing personal leaks: logs, problems, keys, headers of events (I9)."""

import asyncio
from typing import Any

import httpx
import pytest

from govid.bus import Database
from govid.gateway.settings import Settings
from tests.http.client import Client
from tests.http.leak_canaries import (
    CANARIES,
    EMAIL,
    ILLNESS,
    NAME,
    NEW_EMAIL,
    NEW_PASSWORD,
    NHS_NUMBER,
    NINO,
    PASSWORD,
    PERSON,
    UTR,
    audit_log,
    collect_visible_text,
    find_leaks,
    tables,
)
from tests.http.mailbox import Mailbox

TAX = {"name": NAME, "taxNumber": UTR, "taxYear": "2022-2023", "taxAmount": 1}
PATIENT = {"name": NAME, "nhsNumber": NHS_NUMBER, "medicalHistory": ILLNESS}
APPOINTMENT_REQUEST = {
    "patient_identifier": NHS_NUMBER,
    "requested_datetime": "2035-07-02T10:00:00Z",
    "doctor_specialty": "GP",
    "reason": ILLNESS,
}


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    return Mailbox(settings)


def ok(answer: httpx.Response) -> dict[str, Any]:
    """Return the body of a good answer."""
    assert answer.is_success, answer.text
    return dict(answer.json()) if answer.content else {}


async def _a_good_life(client: Client, mailbox: Mailbox) -> list[str]:
    """Do everything once, and well; return whatever opens something, spent or not."""
    ok(await client.register(PERSON))
    token = await client.token(EMAIL, PASSWORD)
    await client.until_status(token, "verified")
    ok(await client.post("/api/hmrc/tax-records", TAX, token))
    ok(await client.post("/api/nhs/patients", PATIENT, token))
    ok(await client.post("/api/nhs/appointments", APPOINTMENT_REQUEST, token))
    ok(await client.post("/api/auth/reset", {"email": EMAIL}))
    link = await mailbox.token(EMAIL, "Set a new password")
    ok(await client.post("/api/auth/reset/confirm", {"token": link, "password": NEW_PASSWORD}))
    body = {"email": EMAIL, "password": NEW_PASSWORD}
    session = ok(await client.post("/api/auth/sessions", body))
    renewed = ok(
        await client.post("/api/auth/refresh", {"refresh_token": session["refresh_token"]})
    )
    access = renewed["access_token"]
    change = {"email": NEW_EMAIL, "password": NEW_PASSWORD}
    ok(await client.post("/api/auth/email", change, access))
    assert (await client.get("/api/auth/export", access)).status_code == 200
    assert (await client.get("/api/auth/sessions", access)).status_code == 200
    tokens = [one[name] for one in (session, renewed) for name in ("access_token", "refresh_token")]
    return [token, link, *tokens]


async def _a_bad_one(client: Client, token: str) -> list[str]:
    """Do everything badly; return the bodies of all refusals."""
    refusals = [
        await client.register(PERSON),
        await client.register({**PERSON, "email": "canary"}),
        await client.register({**PERSON, "email": "o@example.com"}),
        await client.register({**PERSON, "identifierValue": f"{NINO}{NINO}"}),
        await client.register({**PERSON, "identifierType": "canary"}),
        await client.post("/api/auth/login", {"email": EMAIL, "password": f"{PASSWORD}x"}),
        await client.post("/api/auth/login", {"email": f"x{EMAIL}", "password": PASSWORD}),
        await client.post("/api/auth/refresh", {"refresh_token": f"{PASSWORD}"}),
        await client.post("/api/auth/reset/confirm", {"token": "canary", "password": NEW_PASSWORD}),
        await client.post("/api/hmrc/tax-records", {**TAX, "taxNumber": "canary"}, token),
        await client.post(
            "/api/nhs/appointments", {**APPOINTMENT_REQUEST, "requested_datetime": NAME}, token
        ),
        await client.get("/api/nhs/patients?limit=canary", token),
        await client.get(f"/api/nhs/patients/{NINO}?{EMAIL}", token),
        await client.get("/api/auth/profile", "canary"),
        await client.post_raw("/api/auth/register", f'{{"{EMAIL}": "{NINO}"'.encode()),
    ]
    assert [answer.status_code for answer in refusals if answer.is_success] == []
    return [answer.text for answer in refusals]


async def test_canaries_stay_inside(
    capfd: pytest.CaptureFixture[str],
    client: Client,
    server: str,
    database: Database,
    mailbox: Mailbox,
) -> None:
    openers = await _a_good_life(client, mailbox)
    problems = await _a_bad_one(client, openers[-2])
    await asyncio.sleep(0.2)  # the log writer's period, several times over
    log = capfd.readouterr().err
    assert '"path":"/api/auth/register"' in log
    places = await collect_visible_text(database, server, log)
    assert NINO in places["identity.verification.request"]
    assert NHS_NUMBER in places["nhs.appointment.request"]
    assert find_leaks({**places, "problems": "".join(problems)}, (*CANARIES, *openers)) == []


async def test_nothing_that_opens_something_is_stored(
    client: Client, database: Database, mailbox: Mailbox
) -> None:
    openers = await _a_good_life(client, mailbox)
    stored = {
        schema: await tables(database, schema) for schema in ("bus", "identity", "nhs", "hmrc")
    }
    stored["audit log"] = await audit_log(database)
    assert NINO in stored["identity"]
    assert '"event":"account.registered"' in stored["audit log"]
    assert find_leaks(stored, (PASSWORD, NEW_PASSWORD, *openers)) == []


class TestDeath:
    """The simulated notice of death, with the canary's number."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {
            "GOVID_SIMULATE_DEATH_EVENT": True,
            "GOVID_SIMULATE_DEATH_NIN": NINO,
            "GOVID_SIMULATE_DEATH_DELAY_SECONDS": 4,
        }

    async def test_canaries_stay_inside_when_a_person_dies(
        self,
        capfd: pytest.CaptureFixture[str],
        client: Client,
        server: str,
        database: Database,
    ) -> None:
        ok(await client.register(PERSON))
        token = await client.token(EMAIL, PASSWORD)
        async with asyncio.timeout(20):
            while (await client.get("/api/auth/profile", token)).status_code == 200:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        log = capfd.readouterr().err
        places = await collect_visible_text(database, server, log)
        assert "hmrc.death.notification" in places
        assert find_leaks(places, (*CANARIES, token)) == []
