"""A subscriber that is newer than events gets those that its predicate accepts, once (r9)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from govid.bus import Subscriber, Subscriptions
from govid.bus.events import IdentifierType, OutboxBackfilled, VerificationRequested
from govid.bus.operations.backfill import SubscriberBackfill, UnknownSubscriber
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import ACTION_LOCK, ActionInProgress, OperatorAction
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, OutboxFixture

NEW = "tests.newcomer"
ALL = DeliveryFilter()


def newcomer(wants: Any = lambda _event: True) -> Subscriptions:
    subscriptions = Subscriptions()
    consumer = Subscriber(name=NEW, handles=(VerificationRequested,), handler=None, predicate=wants)  # type: ignore[arg-type] - it is never called
    subscriptions.add(consumer)
    return subscriptions


def of(
    outbox: OutboxFixture, subscriptions: Subscriptions, name: str = NEW, size: int = 500
) -> SubscriberBackfill:
    return SubscriberBackfill(outbox.connection, subscriptions, name, batch_size=size)


async def run(
    outbox: OutboxFixture, plan: SubscriberBackfill, selection: DeliveryFilter = ALL, **options: Any
) -> list[int]:
    act = OperatorAction(kind=OutboxBackfilled, operator="test", reason="a test")
    return [step.done async for step in plan.run(selection, outbox.actions, act, **options)]


async def test_r9_it_makes_a_delivery_of_each_event_and_records_itself(
    outbox: OutboxFixture,
) -> None:
    events = [await outbox.emit() for _ in range(5)]
    plan = of(outbox, newcomer(), size=2)
    assert await plan.count_deliveries(ALL) == 5
    assert await run(outbox, plan) == [2, 4, 5]
    assert [row[1] for row in await outbox.fetch_pending() if row[0] == NEW] == events
    assert [(kind, who, why) for kind, who, why, _ in await outbox.recorded_actions()] == [
        ("bus.outbox.backfilled", "test", "a test")
    ] * 3


async def test_r9_only_what_the_predicate_wants(outbox: OutboxFixture) -> None:
    await outbox.emit()
    none = newcomer(lambda event: event.identifier_type is IdentifierType.NIN)
    assert await of(outbox, none).count_deliveries(ALL) == 0
    assert (
        await of(
            outbox, newcomer(lambda e: e.identifier_type is IdentifierType.NHS)
        ).count_deliveries(ALL)
        == 1
    )


async def test_r9_from_any_point(outbox: OutboxFixture) -> None:
    early, late = await outbox.emit(), await outbox.emit()
    plan = of(outbox, newcomer())
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert await plan.count_deliveries(DeliveryFilter(since=now - hour)) == 2
    assert await plan.count_deliveries(DeliveryFilter(since=now + hour)) == 0
    assert await run(outbox, plan, DeliveryFilter(ids=[late])) == [1]
    assert await outbox.fetch_states(early) == {RELAY: "pending", SUBSCRIBER: "pending"}


async def test_r9_a_second_run_changes_nothing(outbox: OutboxFixture) -> None:
    await outbox.emit()
    await run(outbox, of(outbox, newcomer()))
    pending, acts = await outbox.fetch_pending(), await outbox.recorded_actions()
    assert await run(outbox, of(outbox, newcomer())) == []
    assert (await outbox.fetch_pending(), await outbox.recorded_actions()) == (pending, acts)


async def test_r9_what_was_settled_or_is_dead_is_respected(
    outbox: OutboxFixture, connection: Any
) -> None:
    done, discarded, dead, waiting = [await outbox.emit() for _ in range(4)]
    await run(outbox, of(outbox, newcomer()))
    await outbox.dead_letter(NEW, dead)
    for event_id, outcome in ((done, "done"), (discarded, "discarded")):
        await connection.execute(
            "INSERT INTO bus.receipt (subscriber, event_id, outcome) VALUES ($1, $2, $3)",
            NEW,
            event_id,
            outcome,
        )
        await connection.execute(
            "DELETE FROM bus.delivery WHERE subscriber = $1 AND event_id = $2", NEW, event_id
        )
    assert await of(outbox, newcomer()).count_deliveries(ALL) == 0
    assert (await outbox.fetch_states(waiting))[NEW] == "pending"


async def test_r9_a_delivery_that_was_lost_is_made_good_whatever_is_wanted_now(
    outbox: OutboxFixture, connection: Any
) -> None:
    event_id = await outbox.emit()
    await connection.execute("DELETE FROM bus.delivery")
    subscriptions = Subscriptions()
    picky = Subscriber(name=SUBSCRIBER, handles=(), handler=None)  # type: ignore[arg-type] - it is never called
    subscriptions.add(picky)
    assert await run(outbox, of(outbox, subscriptions, SUBSCRIBER)) == [1]
    assert await run(outbox, of(outbox, subscriptions, RELAY)) == [1]
    assert await outbox.fetch_states(event_id) == {RELAY: "pending", SUBSCRIBER: "pending"}


async def test_r14_what_came_from_kafka_does_not_go_back_there(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.emit()
    await connection.execute("DELETE FROM bus.delivery")
    # As the inbox stores it: with a topic, and not addressed to the relay.
    await connection.execute("ALTER TABLE bus.event DISABLE TRIGGER USER")
    await connection.execute("UPDATE bus.event SET addressees = $1", [SUBSCRIBER])
    assert await of(outbox, Subscriptions(), RELAY).count_deliveries(ALL) == 0
    # As an older release stored it.
    await connection.execute(
        "UPDATE bus.event SET addressees = NULL,"
        """ headers = jsonb_set(headers, '{actor}', '{"kind": "external"}')"""
    )
    assert await of(outbox, Subscriptions(), RELAY).count_deliveries(ALL) == 0


async def test_r9_an_event_of_a_newer_version_is_left_for_a_newer_release(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.emit()
    await connection.execute("ALTER TABLE bus.event DISABLE TRIGGER USER")
    await connection.execute("UPDATE bus.event SET version = 2")
    plan = of(outbox, newcomer())
    assert (await plan.count_deliveries(ALL), plan.unreadable) == (0, 1)


async def test_r10_two_operators_at_once_double_nothing(
    outbox: OutboxFixture, database_url: str
) -> None:
    await outbox.emit()
    other = await asyncpg.connect(database_url)
    await other.execute("SELECT pg_advisory_lock($1)", ACTION_LOCK)
    before = await outbox.fetch_pending()
    with pytest.raises(ActionInProgress):
        await run(outbox, of(outbox, newcomer()))
    assert await outbox.fetch_pending() == before
    await other.close()


def test_no_one_is_called_that() -> None:
    with pytest.raises(UnknownSubscriber):
        SubscriberBackfill(None, newcomer(), f"nobody.{uuid4()}")
