"""A replay repeats exactly what it says, and nothing twice."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from govid.bus import Actor
from govid.bus.replay import ADVISORY_LOCK, Replay, ReplayRunning
from govid.bus.selection import Selection
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, Past

OPERATOR = Actor(kind="operator", id="test")
EVERYTHING = Selection(topic="identity.verification.request")


async def run(replay: Replay, selection: Selection, **options: Any) -> list[int]:
    steps = replay.run(selection, actor=OPERATOR, reason="a test", **options)
    return [step.done async for step in steps]


async def test_it_inserts_deliveries_of_the_same_events_under_its_own_id(
    past: Past, connection: Any
) -> None:
    event_id, replay_id = await past.emit(), uuid4()
    await past.complete(RELAY, SUBSCRIBER)
    assert await run(Replay(connection), EVERYTHING, replay_id=replay_id) == [2]
    assert await past.pending() == [
        (RELAY, event_id, replay_id),
        (SUBSCRIBER, event_id, replay_id),
    ]


async def test_the_count_is_what_the_run_touches(past: Past, connection: Any) -> None:
    for _ in range(5):
        await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    replay = Replay(connection, batch_size=2)
    selection = Selection(subscriber=RELAY)
    assert await replay.count(selection) == {RELAY: 5}
    assert await run(replay, selection) == [2, 4, 5]
    assert {name for name, _, _ in await past.pending()} == {RELAY}


async def test_what_is_still_owed_is_not_owed_twice(past: Past, connection: Any) -> None:
    await past.emit()
    await past.complete(SUBSCRIBER)
    replay = Replay(connection)
    assert await replay.count(EVERYTHING) == {SUBSCRIBER: 1}


async def test_a_second_run_while_the_first_is_pending_changes_nothing(
    past: Past, connection: Any
) -> None:
    await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    replay = Replay(connection)
    await run(replay, EVERYTHING)
    pending = await past.pending()
    assert await replay.count(EVERYTHING) == {}
    assert await run(replay, EVERYTHING) == []
    assert await past.pending() == pending


async def test_two_operators_at_once_double_nothing(
    past: Past, connection: Any, database_url: str
) -> None:
    await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    other = await asyncpg.connect(database_url)
    await other.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
    with pytest.raises(ReplayRunning):
        await run(Replay(connection), EVERYTHING)
    assert await past.pending() == []
    await other.close()


async def test_what_was_discarded_stays_discarded(past: Past, connection: Any) -> None:
    await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    await connection.execute("UPDATE bus.receipt SET outcome = 'discarded'")
    assert await Replay(connection).count(EVERYTHING) == {}


async def test_it_can_be_repeated_once_the_first_is_delivered(past: Past, connection: Any) -> None:
    await past.emit()
    await past.complete(RELAY)
    selection = Selection(subscriber=RELAY)
    assert await run(Replay(connection), selection) == [1]
    await past.complete(RELAY)
    assert await run(Replay(connection), selection) == [1]


async def test_a_range_of_time_includes_its_start_and_not_its_end(
    past: Past, connection: Any
) -> None:
    await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    replay, now = Replay(connection), datetime.now(UTC)
    hour = timedelta(hours=1)
    assert await replay.count(Selection(since=now - hour, until=now + hour)) == {
        RELAY: 1,
        SUBSCRIBER: 1,
    }
    assert await replay.count(Selection(since=now + hour)) == {}
    assert await replay.count(Selection(until=now - hour)) == {}


async def test_a_rate_is_kept(past: Past, connection: Any) -> None:
    for _ in range(4):
        await past.emit()
    await past.complete(RELAY)
    began = time.monotonic()
    assert await run(Replay(connection), Selection(subscriber=RELAY), rate=20) == [4]
    assert time.monotonic() - began >= 4 / 20


async def test_who_and_why_are_logged(
    past: Past, connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    event_id: UUID = await past.emit()
    await past.complete(RELAY)
    caplog.set_level("INFO", "govid.bus.replay")
    await run(Replay(connection), Selection(ids=[event_id]))
    started, ended = (vars(record) for record in caplog.records)
    assert (started["msg"], started["actor"], started["reason"], started["deliveries"]) == (
        "replay.started",
        "operator:test",
        "a test",
        1,
    )
    assert (ended["msg"], ended["deliveries"]) == ("replay.ended", 1)
