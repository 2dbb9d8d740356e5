"""Readiness notices a schema that was changed by hand."""

import asyncpg
import pytest

from tests.http.client import Client


@pytest.fixture
async def drifted(database_url: str) -> None:
    """Take something away that the bus relies on."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE bus.receipt DROP CONSTRAINT receipt_pkey")
    await connection.execute("ALTER TABLE bus.receipt ADD PRIMARY KEY (event_id, subscriber)")
    await connection.close()


@pytest.mark.usefixtures("drifted")
async def test_a_changed_schema_is_not_ready(client: Client) -> None:
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["dependencies"]["database"] == "drifted"
