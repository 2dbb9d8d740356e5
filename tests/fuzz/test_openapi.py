"""Calls the whole document with and without a token: checks answers and leaks."""

import asyncio
import os
from collections.abc import Callable

import httpx
import pytest

from govid.bus import Database
from tests.fuzz.operations import Fuzz
from tests.http.client import Client

EXAMPLES = int(os.environ.get("GOVID_TEST_FUZZ_EXAMPLES", "12"))
"""Of each kind for each operation; more of them look deeper, and take longer."""
NOISE = "canary-noise-7f3a"
CANARY = {
    "email": "canary.7f3a@example.com",
    "password": "canary password 7f3a",
    "identifierType": "NIN",
    "identifierValue": "CN731731C",
    "phoneNumber": "+447700900731",
}
FUZZER = {
    **CANARY,
    "email": "fuzzer@example.com",
    "identifierValue": "AB123457D",
    "phoneNumber": "+447700900137",
}
SECRETS = (CANARY["email"], CANARY["password"], CANARY["identifierValue"], CANARY["phoneNumber"])


async def leaks(database: Database, url: str, log: str, words: tuple[str, ...]) -> list[str]:
    """Return the places outside of the contract's own fields that hold one of *words*."""
    async with httpx.AsyncClient(base_url=url) as http:
        metrics = (await http.get("/metrics")).text
    rows = await database.reads.fetch(
        "SELECT coalesce(key, '') || coalesce(record_key, '') || headers::text AS beside,"
        " coalesce(topic, 'inside') AS topic, payload::text AS payload FROM bus.event"
    )
    places = {
        "log": log,
        "metrics": metrics,
        "keys and headers": "".join(row["beside"] for row in rows),
        **{
            topic: "".join(row["payload"] for row in rows if row["topic"] == topic)
            for topic in {row["topic"] for row in rows} - {"identity.verification.request"}
        },
    }
    return [
        f"{word} in {place}" for place, text in places.items() for word in words if word in text
    ]


async def signed(client: Client, person: dict[str, str]) -> str:
    """Register *person* and return their token."""
    assert (await client.register(person)).status_code == 201
    return await client.token(person["email"], person["password"])


def fuzzer(server: str) -> Callable[[], str]:
    """Return a way to sign in, as often as it takes."""
    who = {name: FUZZER[name] for name in ("email", "password")}
    return lambda: str(httpx.post(f"{server}/api/auth/login", json=who).json()["access_token"])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("signed_in", [False, True])
async def test_every_answer_is_documented_and_nothing_gets_out(
    client: Client,
    server: str,
    database: Database,
    capfd: pytest.CaptureFixture[str],
    *,
    signed_in: bool,
) -> None:
    secret = await signed(client, CANARY)
    assert (await client.register(FUZZER)).status_code == 201
    fuzz = Fuzz(
        server, examples=EXAMPLES, sign_in=fuzzer(server) if signed_in else None, noise=NOISE
    )
    await asyncio.to_thread(fuzz.run)
    words = (*SECRETS, secret)
    assert [word for word in (*words, NOISE) if word in "".join(fuzz.answers)] == []
    await asyncio.sleep(0.2)  # the log writer's period, several times over
    log = capfd.readouterr().err
    assert '"path":"/api/auth/register"' in log
    assert await leaks(database, server, log, (*words, NOISE)) == []
    assert len(fuzz.answers) > 300
