"""Decisions and requests are recorded: the contract's two log topics, and the log lines."""

import asyncio
import json
from typing import Any

import pytest

from govid.bus import Database
from tests.http.client import Client


async def decisions(database: Database, count: int) -> list[dict[str, Any]]:
    """Return the access records, once there are *count* of them."""
    query = "SELECT payload FROM bus.event WHERE topic = 'system.logs.access' ORDER BY pos"
    async with asyncio.timeout(10):
        while len(rows := await database.reads.fetch(query)) < count:
            await asyncio.sleep(0.05)
    return [json.loads(row["payload"]) for row in rows]


async def test_a_granted_read_is_recorded(client: Client, database: Database) -> None:
    token = await client.citizen()
    answer = await client.get("/api/auth/profile", token)
    record = (await decisions(database, 1))[0]
    assert sorted(record) == [
        "correlation_id",
        "error",
        "granted",
        "resource",
        "service",
        "timestamp",
        "user_id",
    ]
    assert record["service"] == "gateway"
    assert record["resource"] == "GET /api/auth/profile"
    assert record["granted"] is True
    assert record["error"] is None
    assert record["user_id"] == answer.json()["id"]
    assert record["correlation_id"] == answer.headers["x-correlation-id"]


@pytest.mark.parametrize(
    ("token", "error"), [(None, "authentication-required"), ("a.b.c", "invalid-token")]
)
async def test_a_refusal_is_recorded(
    client: Client, database: Database, token: str | None, error: str
) -> None:
    answer = await client.get("/api/nhs/patients", token)
    record = (await decisions(database, 1))[0]
    assert record["granted"] is False
    assert record["error"] == error
    assert record["user_id"] is None
    assert record["correlation_id"] == answer.headers["x-correlation-id"]


async def test_a_granted_write_is_recorded_in_the_writes_own_transaction(
    client: Client, database: Database
) -> None:
    token = await client.citizen()
    record = {"name": "J", "taxNumber": "1000057161", "taxYear": "2022-2023", "taxAmount": 1}
    assert (await client.post("/api/hmrc/tax-records", record, token)).status_code == 201
    row = await database.reads.fetchrow(
        "SELECT (SELECT xmin::text FROM bus.event WHERE topic = 'system.logs.access') AS decision,"
        " (SELECT xmin::text FROM hmrc.tax_record) AS record"
    )
    assert row["decision"] == row["record"]


async def test_a_write_that_fails_is_recorded_all_the_same(
    client: Client, database: Database
) -> None:
    token = await client.citizen()
    answer = await client.post("/api/hmrc/tax-records", {}, token)
    assert answer.status_code == 422
    record = (await decisions(database, 1))[0]
    assert record["resource"] == "POST /api/hmrc/tax-records"
    assert record["granted"] is True


async def test_nothing_public_is_a_decision(client: Client, database: Database) -> None:
    await client.register()
    await client.get("/health")
    await client.get("/api/nhs/patients")
    assert [each["resource"] for each in await decisions(database, 1)] == ["GET /api/nhs/patients"]


async def test_the_correlation_id_reaches_the_event(client: Client, database: Database) -> None:
    headers = {"X-Correlation-ID": "from-outside"}
    body = {
        "email": "c@example.com",
        "password": "password123",
        "identifierType": "NIN",
        "identifierValue": "AB123456C",
    }
    assert (
        await client.http.post("/api/auth/register", json=body, headers=headers)
    ).status_code == 201
    payload = await database.reads.fetchval(
        "SELECT payload FROM bus.event WHERE topic = 'identity.verification.request'"
    )
    assert json.loads(payload)["correlation_id"] == "from-outside"
