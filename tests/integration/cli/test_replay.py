"""A replay repeats exactly what it says, and nothing twice."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from govid.bus.acts import ADVISORY_LOCK, Act, ActRunning
from govid.bus.contracts import OutboxReplayed
from govid.bus.replay import Replay
from govid.bus.selection import Selection
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, Past

EVERYTHING = Selection(topic="identity.verification.request")


def an_act(act_id: UUID | None = None) -> Act:
    return Act(
        kind=OutboxReplayed,
        operator="test",
        reason="a test",
        selection=EVERYTHING.told(),
        id=act_id or uuid4(),
    )


async def run(
    past: Past, selection: Selection, act: Act | None = None, size: int = 500, **options: Any
) -> list[int]:
    replay = Replay(past.connection, batch_size=size)
    steps = replay.run(selection, past.acts, act or an_act(), **options)
    return [step.done async for step in steps]


async def test_it_inserts_deliveries_of_the_same_events_under_its_own_id(
    past: Past, connection: Any
) -> None:
    event_id, replay_id = await past.emit(), uuid4()
    await past.complete(RELAY, SUBSCRIBER)
    assert await run(past, EVERYTHING, an_act(replay_id)) == [2]
    assert await past.pending() == [
        (RELAY, event_id, replay_id),
        (SUBSCRIBER, event_id, replay_id),
    ]


async def test_the_count_is_what_the_run_touches(past: Past, connection: Any) -> None:
    for _ in range(5):
        await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    selection = Selection(subscriber=RELAY)
    assert await Replay(connection).count(selection) == {RELAY: 5}
    assert await run(past, selection, size=2) == [2, 4, 5]
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
    await run(past, EVERYTHING)
    pending, acts = await past.pending(), await past.recorded()
    assert await Replay(connection).count(EVERYTHING) == {}
    assert await run(past, EVERYTHING) == []
    assert (await past.pending(), await past.recorded()) == (pending, acts)


async def test_two_operators_at_once_double_nothing(
    past: Past, connection: Any, database_url: str
) -> None:
    await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    other = await asyncpg.connect(database_url)
    await other.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
    with pytest.raises(ActRunning):
        await run(past, EVERYTHING)
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
    assert await run(past, selection) == [1]
    await past.complete(RELAY)
    assert await run(past, selection) == [1]


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


async def test_r10_a_rate_is_kept(past: Past, connection: Any) -> None:
    for _ in range(4):
        await past.emit()
    await past.complete(RELAY)
    began = time.monotonic()
    assert await run(past, Selection(subscriber=RELAY), rate=20) == [4]
    assert time.monotonic() - began >= 4 / 20


async def test_who_and_why_are_an_event_of_the_same_transaction(
    past: Past, connection: Any
) -> None:
    event_id = await past.emit()
    await past.complete(RELAY)
    await run(past, Selection(ids=[event_id]))
    assert await past.recorded() == [
        ("bus.outbox.replayed", "test", "a test", {RELAY: [str(event_id)]})
    ]
    delivery = "SELECT xmin::text FROM bus.delivery WHERE subscriber = 'kafka.relay'"
    act = "SELECT xmin::text FROM bus.event WHERE key = 'operator/outbox'"
    assert await connection.fetchval(delivery) == await connection.fetchval(act)


async def test_a_replay_that_cannot_be_recorded_does_not_happen(
    past: Past, connection: Any
) -> None:
    await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    await connection.execute("ALTER TABLE bus.event ADD CHECK (type <> 'bus.outbox.replayed')")
    with pytest.raises(asyncpg.CheckViolationError):
        await run(past, EVERYTHING)
    assert await past.pending() == []


async def test_to_reexecute_takes_the_receipts_away(past: Past, connection: Any) -> None:
    event_id = await past.emit()
    await past.complete(RELAY, SUBSCRIBER)
    selection = Selection(subscriber=SUBSCRIBER)
    assert await run(past, selection, reexecute=True) == [1]
    assert await past.states(event_id) == {RELAY: "done", SUBSCRIBER: "pending"}
    assert await connection.fetchval("SELECT count(*) FROM bus.receipt") == 1
