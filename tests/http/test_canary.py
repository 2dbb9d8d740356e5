"""Nothing personal leaves by the side doors: logs, problems, keys, headers of events (I9)."""

import asyncio

import pytest

from govid.bus import Database
from tests.http.client import Client

EMAIL = "canary.7f3a@example.com"
PASSWORD = "canary password 7f3a"
NINO = "CN731731C"
UTR = "1000057161"
NAME = "Canary Sevenfathree"
CANARIES = (EMAIL, PASSWORD, NINO, UTR, NAME, "canary")


async def _a_whole_life(client: Client) -> list[str]:
    """Do everything once, well and badly; return the bodies of all refusals and one token."""
    person = {
        "email": EMAIL,
        "password": PASSWORD,
        "identifierType": "NIN",
        "identifierValue": NINO,
    }
    assert (await client.register(person)).status_code == 201
    token = await client.token(EMAIL, PASSWORD)
    tax = {"name": NAME, "taxNumber": UTR, "taxYear": "2022-2023", "taxAmount": 1}
    assert (await client.post("/api/hmrc/tax-records", tax, token)).status_code == 201
    await client.until_status(token, "verified")
    refusals = [
        await client.register(person),
        await client.register({**person, "email": "canary"}),
        await client.register({**person, "email": "o@example.com"}),
        await client.register({**person, "identifierValue": f"{NINO}{NINO}"}),
        await client.register({**person, "identifierType": "canary"}),
        await client.post("/api/auth/login", {"email": EMAIL, "password": f"{PASSWORD}x"}),
        await client.post("/api/hmrc/tax-records", {**tax, "taxNumber": "canary"}, token),
        await client.get("/api/nhs/patients?limit=canary", token),
        await client.get("/api/auth/profile", "canary"),
    ]
    return [each.text for each in refusals] + [token]


async def test_canaries_stay_inside(
    capfd: pytest.CaptureFixture[str], client: Client, database: Database
) -> None:
    *problems, token = await _a_whole_life(client)
    await asyncio.sleep(0.2)  # the log writer's period, several times over
    log = capfd.readouterr().err
    events = await database.reads.fetch(
        "SELECT coalesce(key, '') || coalesce(record_key, '') || headers::text AS text,"
        " payload::text AS payload, topic FROM bus.event"
    )
    places = {
        "log": log,
        "problems": "".join(problems),
        "keys and headers": "".join(row["text"] for row in events),
        "access records": "".join(
            row["payload"] for row in events if row["topic"] == "system.logs.access"
        ),
        "internal events": "".join(row["payload"] for row in events if row["topic"] is None),
    }
    assert '"path":"/api/auth/register"' in log
    assert [
        (place, canary)
        for place, text in places.items()
        for canary in (*CANARIES, token)
        if canary in text
    ] == []
