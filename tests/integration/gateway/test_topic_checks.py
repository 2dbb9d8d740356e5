"""A13: replicas of one database that publish to other topics are named."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from govid.bus.delivery.subscriptions import RELAY
from govid.bus.shared.ids import first_uuid7_at, uuid7, uuid7_timestamp
from govid.gateway.checks.database import RECENT_SECONDS, foreign_topic_warnings

RECEIPT = """
    INSERT INTO bus.receipt (subscriber, event_id, outcome, topic, partition, "offset")
    VALUES ($1, $2, 'done', $3, 0, 0)
"""
OURS = ["identity.verification.request", "hmrc.death.notification"]


@pytest.fixture
async def connection(database_url: str) -> Any:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("topics", "named"),
    [
        (OURS, []),
        (["other.identity.verification.request"], ["other.identity.verification.request"]),
        ([*OURS, "b.x", "a.x", "b.x"], ["a.x", "b.x"]),
    ],
)
async def test_a13_topics_of_other_settings_are_named(
    connection: Any, topics: list[str], named: list[str]
) -> None:
    for topic in topics:
        await connection.execute(RECEIPT, RELAY, uuid7(), topic)
    warnings = await foreign_topic_warnings(connection, OURS)
    assert [warning.split()[7] for warning in warnings] == named


async def test_a13_what_went_elsewhere_before_the_settings_changed_is_no_matter(
    connection: Any,
) -> None:
    before = uuid7_timestamp(uuid7()) - timedelta(seconds=RECENT_SECONDS + 1)
    await connection.execute(RECEIPT, RELAY, first_uuid7_at(before), "other.x")
    assert await foreign_topic_warnings(connection, OURS) == []


async def test_a13_a_database_without_tables_has_none(connection: Any) -> None:
    await connection.execute("DROP TABLE bus.receipt CASCADE")
    assert await foreign_topic_warnings(connection, OURS) == []
