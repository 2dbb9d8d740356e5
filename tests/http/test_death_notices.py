"""A notice of death that came before the registration: the contract's examples still hold."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.http.client import NHS, NIN, Client

PARKED = "SELECT count(*) FROM identity.life_event WHERE outcome = 'unclaimed'"


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"GOVID_SIMULATE_DEATH_EVENT": True, "GOVID_SIMULATE_DEATH_DELAY_SECONDS": 0}


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def until_parked(connection: Any) -> None:
    async with asyncio.timeout(10):
        while await connection.fetchval(PARKED) == 0:
            await asyncio.sleep(0.05)


async def test_it_has_found_no_one_and_blocks_no_one(client: Client, connection: Any) -> None:
    await until_parked(connection)
    assert (await client.register()).status_code == 201
    assert (await client.register(NHS)).status_code == 201
    token = await client.token()
    assert (await client.get("/api/auth/profile", token)).status_code == 200
    patients = await client.get("/api/nhs/patients", token)
    assert (patients.status_code, patients.json()) == (200, [])


async def test_who_registers_after_it_carries_a_mark_that_clients_do_not_see(
    client: Client, connection: Any
) -> None:
    await until_parked(connection)
    user = (await client.register()).json()
    query = "SELECT contra_indicators FROM identity.account WHERE email = $1"
    assert await connection.fetchval(query, NIN["email"]) == ["notice_before_registration"]
    assert "contra" not in repr(user)
    assert user["status"] == "pending_verification"
