"""A replay repeats exactly what it says, and nothing twice."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from govid.bus.events import OutboxReplayed
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import ACTION_LOCK, ActionInProgress, OperatorAction
from govid.bus.operations.replay import DeliveryReplay
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, OutboxFixture

EVERYTHING = DeliveryFilter(topic="identity.verification.request")


def an_action(act_id: UUID | None = None) -> OperatorAction:
    return OperatorAction(
        kind=OutboxReplayed,
        operator="test",
        reason="a test",
        selection=EVERYTHING.describe(),
        id=act_id or uuid4(),
    )


async def run(
    outbox: OutboxFixture,
    selection: DeliveryFilter,
    act: OperatorAction | None = None,
    size: int = 500,
    **options: Any,
) -> list[int]:
    replay = DeliveryReplay(outbox.connection, batch_size=size)
    steps = replay.run(selection, outbox.actions, act or an_action(), **options)
    return [step.done async for step in steps]


async def test_it_inserts_deliveries_of_the_same_events_under_its_own_id(
    outbox: OutboxFixture, connection: Any
) -> None:
    event_id, replay_id = await outbox.emit(), uuid4()
    await outbox.complete(RELAY, SUBSCRIBER)
    assert await run(outbox, EVERYTHING, an_action(replay_id)) == [2]
    assert await outbox.fetch_pending() == [
        (RELAY, event_id, replay_id),
        (SUBSCRIBER, event_id, replay_id),
    ]


async def test_the_count_is_what_the_run_touches(outbox: OutboxFixture, connection: Any) -> None:
    for _ in range(5):
        await outbox.emit()
    await outbox.complete(RELAY, SUBSCRIBER)
    selection = DeliveryFilter(subscriber=RELAY)
    assert await DeliveryReplay(connection).count_deliveries(selection) == {RELAY: 5}
    assert await run(outbox, selection, size=2) == [2, 4, 5]
    assert {name for name, _, _ in await outbox.fetch_pending()} == {RELAY}


async def test_what_is_still_pending_is_not_stored_twice(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.emit()
    await outbox.complete(SUBSCRIBER)
    replay = DeliveryReplay(connection)
    assert await replay.count_deliveries(EVERYTHING) == {SUBSCRIBER: 1}


async def test_a_second_run_while_the_first_is_pending_changes_nothing(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.emit()
    await outbox.complete(RELAY, SUBSCRIBER)
    await run(outbox, EVERYTHING)
    pending, acts = await outbox.fetch_pending(), await outbox.recorded_actions()
    assert await DeliveryReplay(connection).count_deliveries(EVERYTHING) == {}
    assert await run(outbox, EVERYTHING) == []
    assert (await outbox.fetch_pending(), await outbox.recorded_actions()) == (pending, acts)


async def test_two_operators_at_once_double_nothing(
    outbox: OutboxFixture, connection: Any, database_url: str
) -> None:
    await outbox.emit()
    await outbox.complete(RELAY, SUBSCRIBER)
    other = await asyncpg.connect(database_url)
    await other.execute("SELECT pg_advisory_lock($1)", ACTION_LOCK)
    with pytest.raises(ActionInProgress):
        await run(outbox, EVERYTHING)
    assert await outbox.fetch_pending() == []
    await other.close()


async def test_what_was_discarded_stays_discarded(outbox: OutboxFixture, connection: Any) -> None:
    await outbox.emit()
    await outbox.complete(RELAY, SUBSCRIBER)
    await connection.execute("UPDATE bus.receipt SET outcome = 'discarded'")
    assert await DeliveryReplay(connection).count_deliveries(EVERYTHING) == {}


async def test_it_can_be_repeated_once_the_first_is_delivered(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.emit()
    await outbox.complete(RELAY)
    selection = DeliveryFilter(subscriber=RELAY)
    assert await run(outbox, selection) == [1]
    await outbox.complete(RELAY)
    assert await run(outbox, selection) == [1]


async def test_a_range_of_time_includes_its_start_and_not_its_end(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.emit()
    await outbox.complete(RELAY, SUBSCRIBER)
    replay, now = DeliveryReplay(connection), datetime.now(UTC)
    hour = timedelta(hours=1)
    assert await replay.count_deliveries(DeliveryFilter(since=now - hour, until=now + hour)) == {
        RELAY: 1,
        SUBSCRIBER: 1,
    }
    assert await replay.count_deliveries(DeliveryFilter(since=now + hour)) == {}
    assert await replay.count_deliveries(DeliveryFilter(until=now - hour)) == {}


async def test_r10_a_rate_is_kept(outbox: OutboxFixture, connection: Any) -> None:
    for _ in range(4):
        await outbox.emit()
    await outbox.complete(RELAY)
    began = time.monotonic()
    assert await run(outbox, DeliveryFilter(subscriber=RELAY), rate=20) == [4]
    assert time.monotonic() - began >= 4 / 20


async def test_who_and_why_are_an_event_of_the_same_transaction(
    outbox: OutboxFixture, connection: Any
) -> None:
    event_id = await outbox.emit()
    await outbox.complete(RELAY)
    await run(outbox, DeliveryFilter(ids=[event_id]))
    assert await outbox.recorded_actions() == [
        ("bus.outbox.replayed", "test", "a test", {RELAY: [str(event_id)]})
    ]
    delivery = "SELECT xmin::text FROM bus.delivery WHERE subscriber = 'kafka.relay'"
    act = "SELECT xmin::text FROM bus.event WHERE key = 'operator/outbox'"
    assert await connection.fetchval(delivery) == await connection.fetchval(act)


async def test_a_replay_that_cannot_be_recorded_does_not_happen(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.emit()
    await outbox.complete(RELAY, SUBSCRIBER)
    await connection.execute("ALTER TABLE bus.event ADD CHECK (type <> 'bus.outbox.replayed')")
    with pytest.raises(asyncpg.CheckViolationError):
        await run(outbox, EVERYTHING)
    assert await outbox.fetch_pending() == []


async def test_to_reexecute_takes_the_receipts_away(outbox: OutboxFixture, connection: Any) -> None:
    event_id = await outbox.emit()
    await outbox.complete(RELAY, SUBSCRIBER)
    selection = DeliveryFilter(subscriber=SUBSCRIBER)
    assert await run(outbox, selection, reexecute=True) == [1]
    assert await outbox.fetch_states(event_id) == {RELAY: "done", SUBSCRIBER: "pending"}
    assert await connection.fetchval("SELECT count(*) FROM bus.receipt") == 1
