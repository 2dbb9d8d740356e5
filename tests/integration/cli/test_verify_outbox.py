"""The outbox audit finds everything that is missing, and nothing else (r11)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from govid.bus.events import OutboxBackfilled, OutboxDiscarded
from govid.bus.operations.audit_findings import AuditFinding
from govid.bus.operations.backfill import SubscriberBackfill
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import OperatorAction
from govid.bus.operations.repair import StuckDeliveries
from govid.bus.operations.verify_outbox import AuditRange, AuditTotals, DeliveryAudit
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, OutboxFixture
from tests.integration.cli.test_backfill import NEW, newcomer

Found = list[tuple[str, str | None, UUID | None]]


async def audit(connection: Any, **options: Any) -> tuple[list[AuditFinding], AuditTotals]:
    now = datetime.now(UTC) + timedelta(seconds=1)
    limits = {"since": None, "until": None, "now": now, "retained_days": 90.0, **options}
    delivery_audit = DeliveryAudit(connection, AuditRange.for_period(**limits), chunk_events=2)
    return [one async for found in delivery_audit.run() for one in found], delivery_audit.totals


async def problems(connection: Any, **options: Any) -> Found:
    found, _ = await audit(connection, **options)
    return [(one.problem, one.subscriber, one.event_id) for one in found]


async def tamper(connection: Any, statement: str, *parameters: Any) -> None:
    """Do by hand what the bus never does."""
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(statement, *parameters)


async def test_r11_each_event_is_once_at_each_addressee(
    outbox: OutboxFixture, connection: Any
) -> None:
    events = [await outbox.emit() for _ in range(7)]
    await outbox.complete(RELAY)
    await outbox.park(SUBSCRIBER, events[0])
    await outbox.park(SUBSCRIBER, events[1])
    await outbox.dead_letter(SUBSCRIBER, events[2])
    await outbox.park(SUBSCRIBER, events[3])
    await connection.execute(
        "UPDATE bus.parked SET until = now() + interval '1 hour' WHERE event_id = $1", events[3]
    )
    stuck = StuckDeliveries(connection)
    act = OperatorAction(kind=OutboxDiscarded, operator="test", reason="a test")
    chosen = await stuck.fetch_deliveries(DeliveryFilter(ids=[events[0]]))
    assert [step.done async for step in stuck.discard(chosen, outbox.actions, act)] == [1]
    found, tally = await audit(connection)
    assert found == []
    # The operator action is an event as well, and has no subscriber.
    assert (tally.events, tally.unaddressed) == (8, 0)
    assert tally.states == {
        RELAY: {"done": 7},
        SUBSCRIBER: {"discarded": 1, "parked": 1, "dead": 1, "waiting": 1, "pending": 3},
    }


@pytest.mark.parametrize("table", ["receipt", "delivery", "dead"])
async def test_r11_whatever_is_lost_at_an_addressee_is_found(
    outbox: OutboxFixture, connection: Any, table: str
) -> None:
    done, owed, dead = [await outbox.emit() for _ in range(3)]
    await connection.execute(
        "INSERT INTO bus.receipt (subscriber, event_id, outcome) VALUES ($1, $2, 'done')",
        SUBSCRIBER,
        done,
    )
    await connection.execute(
        "DELETE FROM bus.delivery WHERE subscriber = $1 AND event_id = $2", SUBSCRIBER, done
    )
    await outbox.dead_letter(SUBSCRIBER, dead)
    assert await problems(connection) == []
    await connection.execute(f"DELETE FROM bus.{table} WHERE subscriber = $1", SUBSCRIBER)  # noqa: S608
    lost = {"receipt": done, "delivery": owed, "dead": dead}[table]
    assert await problems(connection) == [("lost", SUBSCRIBER, lost)]


async def test_r11_what_was_lost_is_made_good_by_what_the_finding_says(
    outbox: OutboxFixture, connection: Any
) -> None:
    event_id = await outbox.emit()
    await connection.execute("DELETE FROM bus.delivery WHERE subscriber = $1", RELAY)
    ((finding,), _) = await audit(connection)
    assert finding.format_line() == (
        f"lost: kafka.relay has neither a pending delivery nor a receipt of event {event_id}. To "
        f"do: `govid outbox backfill --id {event_id} --subscriber kafka.relay --reason '...'` "
        "publishes it (again), with the same id."
    )
    plan = SubscriberBackfill(connection, newcomer(), RELAY)
    act = OperatorAction(kind=OutboxBackfilled, operator="test", reason="a test")
    steps = plan.run(DeliveryFilter(ids=[event_id]), outbox.actions, act)
    assert [step.done async for step in steps] == [1]
    assert await problems(connection) == []


async def test_r11_a_deleted_event_is_found_by_what_it_left_behind(
    outbox: OutboxFixture, connection: Any
) -> None:
    done, owed = await outbox.emit(), await outbox.emit()
    await connection.execute(
        "INSERT INTO bus.receipt (subscriber, event_id, outcome) VALUES ($1, $2, 'done')",
        SUBSCRIBER,
        done,
    )
    await connection.execute("DELETE FROM bus.delivery WHERE event_id = $1", done)
    await connection.execute("DELETE FROM bus.delivery WHERE subscriber = $1", RELAY)
    await tamper(connection, "DELETE FROM bus.event")
    found = await problems(connection)
    assert sorted(found, key=str) == sorted(
        [
            ("event_deleted", SUBSCRIBER, done),
            ("event_deleted", SUBSCRIBER, owed),
            ("numbers_missing", None, done),
            ("numbers_missing", None, owed),
        ],
        key=str,
    )


@pytest.mark.parametrize(
    ("deleted", "named"),
    [([0], "event 1"), ([1], "event 2"), ([2, 3], "events 3 to 4"), ([4], "event 5"),
     ([0, 1, 2, 3, 4], "events 1 to 5")],
)  # fmt: skip
async def test_r11_a_deleted_event_is_missed_in_its_key_even_if_nothing_else_is_left(
    outbox: OutboxFixture, connection: Any, deleted: list[int], named: str
) -> None:
    account = uuid4()
    events = [await outbox.emit(account) for _ in range(5)]
    await outbox.complete(RELAY, SUBSCRIBER)
    gone = [events[n] for n in deleted]
    await connection.execute("DELETE FROM bus.receipt WHERE event_id = ANY ($1)", gone)
    await tamper(connection, "DELETE FROM bus.event WHERE id = ANY ($1)", gone)
    ((finding,), _) = await audit(connection)
    assert finding.problem == "numbers_missing"
    assert finding.text.startswith(f"{named} of key verification/{account} existed")


async def test_r11_an_action_that_is_taken_away_leaves_a_gap(
    outbox: OutboxFixture, connection: Any
) -> None:
    stuck = StuckDeliveries(connection)
    act = OperatorAction(kind=OutboxDiscarded, operator="test", reason="a test")
    for _ in range(2):
        await outbox.park(SUBSCRIBER, await outbox.emit())
        chosen = await stuck.fetch_deliveries(DeliveryFilter())
        assert [s.done async for s in stuck.discard(chosen, outbox.actions, act)] == [1]
    await tamper(connection, "DELETE FROM bus.event WHERE key = 'operator/outbox' AND seq = 1")
    ((finding,), _) = await audit(connection)
    assert (finding.problem, finding.key) == ("numbers_missing", "operator/outbox")


async def test_r11_what_retention_dropped_is_not_missed(
    outbox: OutboxFixture, connection: Any
) -> None:
    account = uuid4()
    old, young = await outbox.emit(account), await outbox.emit(account)
    await outbox.complete(RELAY, SUBSCRIBER)
    # As if the first had been stored long ago, and its day been dropped.
    await tamper(connection, "DELETE FROM bus.event WHERE id = $1", old)
    await tamper(connection, "DELETE FROM bus.receipt WHERE event_id = $1", old)
    await connection.execute(
        "UPDATE bus.stream SET first_id = $1", UUID("0180c0de-0000-7000-8000-000000000000")
    )
    assert await problems(connection) == []
    assert await problems(connection, retained_days=0.0) == []
    assert (await outbox.fetch_states(young))[RELAY] == "done"


async def test_r11_what_is_in_two_states_is_found(outbox: OutboxFixture, connection: Any) -> None:
    event_id = await outbox.emit()
    await connection.execute(
        "INSERT INTO bus.receipt (subscriber, event_id, outcome) VALUES ($1, $2, 'done')",
        SUBSCRIBER,
        event_id,
    )
    assert await problems(connection) == [("doubled", SUBSCRIBER, event_id)]
    # A replayed delivery may exist together with its receipt.
    await connection.execute("UPDATE bus.delivery SET replay_id = $1", uuid4())
    assert await problems(connection) == []


async def test_r11_a_key_that_waits_for_nothing_is_found(
    outbox: OutboxFixture, connection: Any
) -> None:
    event_id = await outbox.emit()
    await outbox.park(SUBSCRIBER, event_id)
    await outbox.complete(RELAY, SUBSCRIBER)
    assert await problems(connection) == [("parked_for_nothing", SUBSCRIBER, event_id)]


async def test_r11_a_counter_that_was_lost_is_found(outbox: OutboxFixture, connection: Any) -> None:
    account = uuid4()
    await outbox.emit(account)
    await connection.execute("DELETE FROM bus.stream")
    ((finding,), _) = await audit(connection)
    assert (finding.problem, finding.key) == ("numbers_forgotten", f"verification/{account}")


async def test_r11_who_was_added_by_a_backfill_is_an_addressee(
    outbox: OutboxFixture, connection: Any
) -> None:
    event_id = await outbox.emit()
    plan = SubscriberBackfill(connection, newcomer(), NEW)
    act = OperatorAction(kind=OutboxBackfilled, operator="test", reason="a test")
    assert [s.done async for s in plan.run(DeliveryFilter(), outbox.actions, act)] == [1]
    assert await problems(connection) == []
    await connection.execute("DELETE FROM bus.delivery WHERE subscriber = $1", NEW)
    assert await problems(connection) == [("lost", NEW, event_id)]


async def test_r11_only_the_range_is_judged(outbox: OutboxFixture, connection: Any) -> None:
    await outbox.emit()
    await connection.execute("DELETE FROM bus.delivery")
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert await problems(connection, until=now - hour) == []
    assert await problems(connection, since=now + hour, until=now + 2 * hour) == []
    assert len(await problems(connection, since=now - hour)) == 2


async def test_r11_events_from_before_the_noting_of_addressees_are_counted(
    outbox: OutboxFixture, connection: Any
) -> None:
    await outbox.emit()
    await tamper(connection, "UPDATE bus.event SET addressees = NULL")
    await connection.execute("DELETE FROM bus.delivery")
    found, tally = await audit(connection)
    assert (found, tally.unaddressed) == ([], 1)
