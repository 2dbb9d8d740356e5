"""Parked keys and dead letters are grouped, retried, unparked or discarded once each (r10)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from govid.bus.events import OutboxAct, OutboxDiscarded, OutboxRetried, OutboxUnparked
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import OperatorAction
from govid.bus.operations.repair import StuckDeliveries, StuckDelivery
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, OutboxFixture

EVERYTHING = DeliveryFilter()


def an_action(kind: type[OutboxAct]) -> OperatorAction:
    return OperatorAction(kind=kind, operator="test", reason="a test")


async def retry(outbox: OutboxFixture, chosen: list[StuckDelivery], **options: Any) -> list[int]:
    stuck = StuckDeliveries(outbox.connection)
    steps = stuck.retry(chosen, outbox.actions, an_action(OutboxRetried), **options)
    return [step.done async for step in steps]


async def unpark(outbox: OutboxFixture, chosen: list[StuckDelivery]) -> list[int]:
    stuck = StuckDeliveries(outbox.connection)
    return [s.done async for s in stuck.unpark(chosen, outbox.actions, an_action(OutboxUnparked))]


async def discard(outbox: OutboxFixture, chosen: list[StuckDelivery]) -> list[int]:
    stuck = StuckDeliveries(outbox.connection)
    return [s.done async for s in stuck.discard(chosen, outbox.actions, an_action(OutboxDiscarded))]


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Any]:
    """Return the connection of a second operator."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_r10_groups_gather_failures_of_one_cause(
    outbox: OutboxFixture, connection: Any
) -> None:
    first, second, third = [await outbox.emit() for _ in range(3)]
    await outbox.park(SUBSCRIBER, first)
    await outbox.park(SUBSCRIBER, second)
    await outbox.dead_letter(RELAY, third)
    groups = await StuckDeliveries(connection).fetch_groups(EVERYTHING)
    assert [
        (g.subscriber, g.state, g.reason, g.error_class, g.fingerprint, g.count, g.example_id)
        for g in groups
    ] == [
        (SUBSCRIBER, "parked", "error", "ValueError", "f", 2, second),
        (RELAY, "dead", "error", "KeyError", "d", 1, third),
    ]
    assert groups[0].first_failed < groups[0].last_failed


async def test_r10_selectors_and_fingerprint_narrow_the_choice(
    outbox: OutboxFixture, connection: Any
) -> None:
    account = uuid4()
    mine, other_one = await outbox.emit(account), await outbox.emit()
    await outbox.park(SUBSCRIBER, mine)
    await outbox.dead_letter(SUBSCRIBER, other_one)
    stuck = StuckDeliveries(connection)
    key = DeliveryFilter(key=f"verification/{account}")
    assert [one.event_id for one in await stuck.fetch_deliveries(key)] == [mine]
    assert [one.event_id for one in await stuck.fetch_deliveries(EVERYTHING, "d")] == [other_one]
    assert [one.state for one in await stuck.fetch_deliveries(EVERYTHING, None, ["parked"])] == [
        "parked"
    ]
    assert await stuck.fetch_deliveries(DeliveryFilter(type="no.such.type")) == []


async def test_r10_a_retry_resets_the_attempts_and_records_itself(
    outbox: OutboxFixture, connection: Any
) -> None:
    parked, dead = await outbox.emit(), await outbox.emit()
    await outbox.park(SUBSCRIBER, parked)
    await outbox.dead_letter(SUBSCRIBER, dead)
    chosen = await StuckDeliveries(connection).fetch_deliveries(EVERYTHING)
    assert await retry(outbox, chosen) == [2]
    assert await outbox.fetch_states(parked) == {RELAY: "pending", SUBSCRIBER: "pending"}
    assert await outbox.fetch_states(dead) == {RELAY: "pending", SUBSCRIBER: "pending"}
    assert await connection.fetchval("SELECT count(*) FROM bus.parked") == 0
    assert await outbox.recorded_actions() == [
        ("bus.outbox.retried", "test", "a test", {SUBSCRIBER: [str(parked), str(dead)]})
    ]


async def test_r10_an_unparked_key_keeps_its_attempts(
    outbox: OutboxFixture, connection: Any
) -> None:
    event_id = await outbox.emit()
    await outbox.park(SUBSCRIBER, event_id)
    chosen = await StuckDeliveries(connection).fetch_deliveries(EVERYTHING)
    assert await unpark(outbox, chosen) == [1]
    row = await connection.fetchrow("SELECT attempts, until < now() AS due FROM bus.parked")
    assert tuple(row) == (8, True)
    assert await StuckDeliveries(connection).fetch_groups(EVERYTHING) == []


async def test_r10_a_discard_settles_the_head_and_those_behind_it_go_on(
    outbox: OutboxFixture, connection: Any
) -> None:
    account = uuid4()
    head, behind = await outbox.emit(account), await outbox.emit(account)
    await outbox.park(SUBSCRIBER, head)
    assert await discard(
        outbox, await StuckDeliveries(connection).fetch_deliveries(EVERYTHING)
    ) == [1]
    assert await outbox.fetch_states(head) == {RELAY: "pending", SUBSCRIBER: "discarded"}
    assert await outbox.fetch_states(behind) == {RELAY: "pending", SUBSCRIBER: "pending"}
    assert await connection.fetchval("SELECT count(*) FROM bus.parked") == 0


async def test_r10_a_dead_event_is_discarded(outbox: OutboxFixture, connection: Any) -> None:
    event_id = await outbox.emit()
    await outbox.dead_letter(SUBSCRIBER, event_id)
    assert await discard(
        outbox, await StuckDeliveries(connection).fetch_deliveries(EVERYTHING)
    ) == [1]
    assert await outbox.fetch_states(event_id) == {RELAY: "pending", SUBSCRIBER: "discarded"}


async def test_r10_a_key_that_waits_is_left_alone_unless_it_is_asked_for(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.park(SUBSCRIBER, await outbox.emit())
    await connection.execute("UPDATE bus.parked SET until = now() + interval '5 minutes'")
    stuck = StuckDeliveries(connection)
    assert await stuck.fetch_deliveries(EVERYTHING) == []
    assert len(await stuck.fetch_deliveries(EVERYTHING, None, ["parked", "waiting"])) == 1


@pytest.mark.parametrize("command", [retry, unpark, discard])
async def test_r10_a_second_identical_run_changes_nothing(
    outbox: OutboxFixture, connection: Any, command: Any
) -> None:
    await outbox.park(SUBSCRIBER, await outbox.emit())
    chosen = await StuckDeliveries(connection).fetch_deliveries(EVERYTHING)
    assert await command(outbox, chosen) == [1]
    before = await everything(connection)
    # Even the stale list of one who counted before the other acted.
    assert await command(outbox, chosen) == [0]
    assert await everything(connection) == before


@pytest.mark.parametrize("command", [retry, unpark, discard])
async def test_r10_two_operators_at_once_double_nothing(
    outbox: OutboxFixture, connection: Any, other: Any, command: Any
) -> None:
    for _ in range(10):
        await outbox.park(SUBSCRIBER, await outbox.emit())
    chosen = await StuckDeliveries(connection).fetch_deliveries(EVERYTHING)
    colleague = outbox.with_connection(other)
    mine, theirs = await asyncio.gather(command(outbox, chosen), command(colleague, chosen))
    assert sorted([mine[-1], theirs[-1]]) == [0, 10]
    assert len(await outbox.recorded_actions()) == 1


async def test_r10_who_comes_second_waits_for_the_lock_and_finds_nothing(
    outbox: OutboxFixture, connection: Any, other: Any
) -> None:
    event_id = await outbox.emit()
    await outbox.park(SUBSCRIBER, event_id)
    chosen = await StuckDeliveries(connection).fetch_deliveries(EVERYTHING)
    async with other.transaction():
        await other.execute("UPDATE bus.parked SET until = '-infinity'")
        mine = asyncio.create_task(retry(outbox, chosen))
        await wait_until_blocked(other)
    assert await mine == [0]
    assert await outbox.recorded_actions() == []


async def test_r10_a_key_that_is_parked_again_meanwhile_is_not_touched_twice(
    outbox: OutboxFixture, connection: Any
) -> None:
    first, second = await outbox.emit(), await outbox.emit()
    await outbox.park(SUBSCRIBER, first)
    await outbox.park(SUBSCRIBER, second)
    stuck = StuckDeliveries(connection)
    chosen = await stuck.fetch_deliveries(EVERYTHING)
    steps = stuck.retry(chosen, outbox.actions, an_action(OutboxRetried), 1000)
    assert [step.done async for step in steps] == [2]
    # A handler that fails at once parks a key before the act has ended: one go for each.
    paced = stuck.retry(chosen, outbox.actions, an_action(OutboxRetried), 1)
    await outbox.park(SUBSCRIBER, first)
    assert (await anext(paced)).done == 1
    await outbox.park(SUBSCRIBER, first)
    assert [step.done async for step in paced] == [1]
    assert (await outbox.fetch_states(first))[SUBSCRIBER] == "parked"


async def test_r10_an_action_that_cannot_be_recorded_does_not_happen(
    outbox: OutboxFixture, connection: Any
) -> None:
    event_id = await outbox.emit()
    await outbox.park(SUBSCRIBER, event_id)
    await connection.execute("ALTER TABLE bus.event ADD CHECK (type <> 'bus.outbox.retried')")
    chosen = await StuckDeliveries(connection).fetch_deliveries(EVERYTHING)
    with pytest.raises(asyncpg.CheckViolationError):
        await retry(outbox, chosen)
    assert (await outbox.fetch_states(event_id))[SUBSCRIBER] == "parked"


async def test_r10_an_action_that_meets_a_workers_locks_crosswise_begins_anew(
    outbox: OutboxFixture, other: Any
) -> None:
    event_id = await outbox.emit()
    await outbox.park(SUBSCRIBER, event_id)
    chosen = await StuckDeliveries(outbox.connection).fetch_deliveries(EVERYTHING)
    await other.execute("SET deadlock_timeout = '30s'")
    await outbox.connection.execute("SET deadlock_timeout = '1s'")
    async with other.transaction():
        await other.execute("SELECT FROM bus.delivery WHERE subscriber = $1 FOR UPDATE", SUBSCRIBER)
        mine = asyncio.create_task(discard(outbox, chosen))
        await wait_until_blocked(other)
        # The act holds the key and wants the delivery: now both want what the other has.
        await other.execute("SELECT FROM bus.parked FOR UPDATE")
    assert await mine == [1]
    assert (await outbox.fetch_states(event_id))[SUBSCRIBER] == "discarded"


async def wait_until_blocked(connection: Any) -> None:
    """Return once another session waits for a lock of this *connection*."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    async with asyncio.timeout(10):
        while not await connection.fetchval(query):
            await asyncio.sleep(0.01)


async def everything(connection: Any) -> list[list[Any]]:
    """Return all that an act could have changed."""
    tables = ("delivery", "receipt", "parked", "dead", "event")
    return [
        [tuple(row) for row in await connection.fetch(f"TABLE bus.{table} ORDER BY 1, 2")]
        for table in tables
    ]
