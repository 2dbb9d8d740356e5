"""E1: two requests whose answers must be indistinguishable leave the same marks in public.

Each pair is sent to a server of its own. Everything that a stranger can see is compared: the
answers with their header bytes, `/health`, and every counter, also those that production hides.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx
import pytest

from govid.bus import Database
from tests.http.client import NIN, PASSWORD, Client
from tests.http.test_metrics import Sample, scraped

KNOWN, OTHER = "known@example.com", "other@example.com"
REPORTED = "AB123456C"
"""A notice of death names it before an account is registered with it."""
TIMED = re.compile(
    r"_(?:bucket|sum)$|_seconds$|^process_|^govid_(?:dead_tuples|outbox_|activity_dropped|gc_)"
)
"""Samples of durations, of tables that are looked at from time to time, and of an absent Kafka."""

Act = Callable[[Client], Awaitable[httpx.Response]]


class Marks(NamedTuple):
    """Everything that shows a request to a stranger."""

    status: int
    headers: list[tuple[bytes, int]]
    grown: set[tuple[Sample, float]]
    health: dict[str, Any]


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"GOVID_SIMULATE_DEATH_EVENT": True, "GOVID_SIMULATE_DEATH_DELAY_SECONDS": 0}


async def _ready(client: Client, database: Database) -> None:
    """Wait for the notice, and let two people register and be verified."""
    async with asyncio.timeout(10):
        while not await database.reads.fetchval("SELECT EXISTS (SELECT FROM identity.life_event)"):
            await asyncio.sleep(0.05)
    for email, number in ((KNOWN, "CN731731C"), (OTHER, "CN731732C")):
        token = await client.citizen({**NIN, "email": email, "identifierValue": number})
        await client.until_status(token, "verified")
    blocked = await client.citizen(
        {**NIN, "email": "b@example.com", "identifierValue": "CN731733C"}
    )
    await client.until_status(blocked, "verified")
    await database.reads.execute(
        "UPDATE identity.account SET status = 'blocked', status_before = 'verified'"
        " WHERE email = 'b@example.com'"
    )


async def _settled(database: Database) -> None:
    """Wait until nothing is left to deliver or to seal; Kafka is away, and its deliveries stay."""
    async with asyncio.timeout(10):
        while await database.reads.fetchval(
            "SELECT EXISTS (SELECT FROM bus.delivery WHERE subscriber <> 'kafka.relay')"
            " OR (SELECT count(*) FROM audit.entry) <> (SELECT count(*) FROM audit.leaf)"
        ):
            await asyncio.sleep(0.05)


def _headers(answer: httpx.Response) -> list[tuple[bytes, int]]:
    """Return the names and sizes of all headers; of the measured time the digits vary."""
    return [
        (name, 0 if name == b"x-process-time-ms" else len(value))
        for name, value in answer.headers.raw
    ]


async def _marks(client: Client, database: Database, act: Act) -> Marks:
    """Do *act*; return everything that shows it.

    Without the records of decisions: those of the calls before it are written a moment later. And
    without the number of checkpoints: it depends on time, but the number of entries does not.
    """
    await _settled(database)
    before = await scraped(client)
    answer = await act(client)
    await _settled(database)
    after = await scraped(client)
    grown: set[tuple[Sample, float]] = {
        (sample, value - before.get(sample, 0))
        for sample, value in after.items()
        if value != before.get(sample, 0)
        and not TIMED.search(sample[0])
        and not {
            ("type", "gateway.access.decided"),
            ("type", "audit.checkpoint.sealed"),
        }.intersection(sample[1])
    }
    health = {**(await client.get("/health")).json(), "timestamp": None}
    return Marks(answer.status_code, _headers(answer), grown, health)


def _register(number: str, email: str) -> Act:
    return lambda client: client.register({**NIN, "email": email, "identifierValue": number})


def _sign_in(email: str) -> Act:
    return lambda client: client.post(
        "/api/auth/login", {"email": email, "password": "wrong password"}
    )


def _reset(email: str) -> Act:
    return lambda client: client.post("/api/auth/reset", {"email": email})


def _change(email: str) -> Act:
    async def act(client: Client) -> httpx.Response:
        body = {"email": email, "password": PASSWORD}
        return await client.post("/api/auth/email", body, await client.token(KNOWN))

    return act


@pytest.mark.parametrize(
    ("secret", "ordinary"),
    [
        pytest.param(
            _register(REPORTED, "new1@example.com"),
            _register("CN731734C", "new2@example.com"),
            id="a number that was reported dead, and one that was not",
        ),
        pytest.param(
            _sign_in(OTHER), _sign_in("nbody@example.com"), id="an account, and none, to sign in"
        ),
        pytest.param(
            _sign_in("b@example.com"), _sign_in("n@example.com"), id="a blocked account, and none"
        ),
        pytest.param(
            _reset(OTHER), _reset("nbody@example.com"), id="an account, and none, to be reset"
        ),
        pytest.param(
            _change(OTHER), _change("nbody@example.com"), id="an address that is taken, and free"
        ),
    ],
)
async def test_e1_a_secret_leaves_the_marks_of_its_opposite(
    client: Client, database: Database, secret: Act, ordinary: Act
) -> None:
    await _ready(client, database)
    reported, concealed = (
        await _marks(client, database, secret),
        await _marks(client, database, ordinary),
    )
    assert reported.grown ^ concealed.grown == set()
    assert reported == concealed
