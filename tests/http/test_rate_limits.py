"""Rate limits and lockouts as clients see them."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import asyncpg
import httpx
import pytest

from tests.http.client import NIN, PASSWORD, Client

UNKNOWN = "nobody@example.com"
LOCKED = {**NIN, "email": "locked@example.com", "identifierValue": "AB123457D"}
CHANGING = {"x-correlation-id", "x-process-time-ms", "date"}


async def login(client: Client, email: str, password: str, **headers: str) -> httpx.Response:
    body = {"email": email, "password": password}
    return await client.http.post("/api/auth/login", json=body, headers=headers)


async def lock(client: Client, email: str) -> None:
    answers = [await login(client, email, f"guess {n}") for n in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 6


def seen(answer: httpx.Response) -> tuple[int, bytes, Any]:
    """Return all that a client sees of *answer*, but what differs between any two."""
    kept = [(k, v) for k, v in answer.headers.multi_items() if k not in CHANGING]
    return answer.status_code, answer.content, kept


async def test_r4_unknown_wrong_and_locked_get_the_same_answer_to_the_byte(
    client: Client,
) -> None:
    await client.register()
    await client.register(LOCKED)
    await lock(client, LOCKED["email"])
    unknown = await login(client, UNKNOWN, PASSWORD)
    wrong = await login(client, NIN["email"], "password124")
    locked = await login(client, LOCKED["email"], "password124")
    locked_and_right = await login(client, LOCKED["email"], PASSWORD)
    assert seen(unknown) == seen(wrong) == seen(locked) == seen(locked_and_right)
    assert unknown.status_code == 401
    assert unknown.headers["www-authenticate"] == "Bearer"
    assert json.loads(unknown.content)["detail"] == "Invalid email or password"
    names = [list(answer.headers) for answer in (unknown, wrong, locked, locked_and_right)]
    assert names == [names[0]] * 4


async def test_r4_a_blocked_account_is_informed_by_its_password_only(
    client: Client, database_url: str
) -> None:
    await client.register()
    await _execute(
        database_url,
        "UPDATE identity.account SET status = 'blocked', status_before = 'verified'",
    )
    assert (await login(client, NIN["email"], PASSWORD)).status_code == 403
    wrong = await login(client, NIN["email"], "password124")
    assert seen(wrong) == seen(await login(client, UNKNOWN, PASSWORD))


async def test_r4_registering_signs_no_one_in(client: Client) -> None:
    answer = await client.register()
    assert answer.status_code == 201
    assert "token" not in answer.text
    assert "set-cookie" not in answer.headers


async def test_r5_parallel_guesses_get_the_same_401_also_those_that_meet_a_lock(
    client: Client,
) -> None:
    await client.register()
    guesses = [login(client, NIN["email"], f"guess {n}") for n in range(12)]
    answers = await asyncio.gather(*guesses)
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.content for answer in answers} == {answers[0].content}


class TestAddresses:
    """Failures are counted for the address that govid sees."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_ADDRESS_FAILURES": 2, "GOVID_LOGIN_FAILURES": 100}

    @pytest.mark.parametrize(
        "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP"]
    )
    async def test_r7_a_header_that_is_rotated_does_not_help(
        self, client: Client, header: str
    ) -> None:
        answers = [
            await login(client, f"{n}@example.com", PASSWORD, **{header: f"198.51.100.{n}"})
            for n in range(4)
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 429, 429]

    async def test_a_spent_budget_is_a_429_that_says_when_to_come_back(
        self, client: Client
    ) -> None:
        await client.register()
        await login(client, UNKNOWN, PASSWORD)
        await login(client, UNKNOWN, PASSWORD)
        answers = [
            await login(client, NIN["email"], PASSWORD),
            await login(client, UNKNOWN, PASSWORD),
        ]
        for_known, for_unknown = answers
        assert for_known.status_code == for_unknown.status_code == 429
        assert for_known.content == for_unknown.content
        assert for_known.json()["type"] == "urn:govid:problem:too-many-attempts"
        assert 0 < int(for_known.headers["retry-after"]) <= 900


class TestProxies:
    """Behind a trusted proxy, clients are distinguished."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_ADDRESS_FAILURES": 1, "GOVID_TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8"}

    async def test_r7_each_client_has_its_own_budget(self, client: Client) -> None:
        assert await self._statuses(
            client, ["198.51.100.1", "198.51.100.1", "198.51.100.2", "198.51.100.2, 10.0.0.1"]
        ) == [401, 429, 401, 429]

    async def test_r7_what_a_client_writes_itself_is_too_far_left(self, client: Client) -> None:
        assert await self._statuses(
            client, ["1.1.1.1, 198.51.100.1", "2.2.2.2, 198.51.100.1", "10.0.0.9, 198.51.100.1"]
        ) == [401, 429, 429]

    async def _statuses(self, client: Client, forwarded: Iterable[str]) -> list[int]:
        return [
            (await login(client, UNKNOWN, PASSWORD, **{"X-Forwarded-For": line})).status_code
            for line in forwarded
        ]


class TestRegistrations:
    """How many register from one address."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_REGISTRATIONS_PER_HOUR": 1}

    async def test_the_second_one_has_to_wait(self, client: Client) -> None:
        assert (await client.register()).status_code == 201
        refused = await client.register(LOCKED)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 3600


async def test_a_demonstration_does_not_count_registrations(client: Client) -> None:
    answers = [
        await client.register(email=f"ada{n}@example.com", identifierValue=f"AB1234{n:02}C")
        for n in range(31)
    ]
    assert {answer.status_code for answer in answers} == {201}


async def _execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
