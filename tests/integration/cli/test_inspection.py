"""Inspection of the outbox by operators."""

from typing import Any
from uuid import uuid4

from govid.bus.events.masking import MASK
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.inspection import OutboxInspection
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, OutboxFixture


async def test_nothing_is_pending_at_first(connection: Any) -> None:
    assert await OutboxInspection(connection).fetch_status() == []


async def test_status_counts_pending_deliveries_by_subscriber(
    outbox: OutboxFixture, connection: Any
) -> None:
    stuck = await outbox.emit()
    await outbox.emit()
    await outbox.park(SUBSCRIBER, stuck)
    relay, nhs = await OutboxInspection(connection).fetch_status()
    assert (relay.subscriber, relay.pending, relay.parked_keys, relay.dead) == (RELAY, 2, 0, 0)
    assert (nhs.subscriber, nhs.pending, nhs.parked_keys, nhs.dead) == (SUBSCRIBER, 2, 1, 0)
    assert relay.oldest_seconds is not None
    assert 0 < relay.oldest_seconds < 60


async def test_each_delivery_has_exactly_one_state(outbox: OutboxFixture, connection: Any) -> None:
    account = uuid4()
    head, behind = await outbox.emit(account), await outbox.emit(account)
    await outbox.park(SUBSCRIBER, head)
    await outbox.complete(RELAY)
    found = await OutboxInspection(connection).fetch_deliveries(DeliveryFilter())
    assert [(line.id, line.subscriber, line.state, line.reason) for line in found] == [
        (behind, RELAY, "done", None),
        (behind, SUBSCRIBER, "pending", None),
        (head, RELAY, "done", None),
        (head, SUBSCRIBER, "parked", "error"),
    ]


async def test_selectors_narrow_and_the_limit_limits(
    outbox: OutboxFixture, connection: Any
) -> None:
    first, second = await outbox.emit(), await outbox.emit()
    inspection = OutboxInspection(connection)
    by_id = await inspection.fetch_deliveries(DeliveryFilter(ids=[first], subscriber=RELAY))
    assert [line.id for line in by_id] == [first]
    assert await inspection.fetch_deliveries(DeliveryFilter(type="no.such.type")) == []
    assert await inspection.fetch_deliveries(DeliveryFilter(), state="dead") == []
    newest = await inspection.fetch_deliveries(DeliveryFilter(subscriber=RELAY), limit=1)
    assert [line.id for line in newest] == [second]


async def test_an_event_is_shown_with_its_fate_and_without_its_identifier(
    outbox: OutboxFixture, connection: Any
) -> None:
    account = uuid4()
    event_id = await outbox.emit(account)
    await outbox.complete(RELAY)
    detail = await OutboxInspection(connection).fetch_event(event_id)
    assert detail is not None
    assert detail.payload["identifierValue"] == MASK
    assert detail.payload["userId"] == str(account)
    assert detail.headers["correlation_id"] == "past"
    assert [(line["subscriber"], line["state"]) for line in detail.deliveries] == [
        (RELAY, "done"),
        (SUBSCRIBER, "pending"),
    ]
    assert "9990000018" not in repr(detail)


async def test_raw_shows_the_identifier(outbox: OutboxFixture, connection: Any) -> None:
    detail = await OutboxInspection(connection).fetch_event(await outbox.emit(), raw=True)
    assert detail is not None
    assert detail.payload["identifierValue"] == "9990000018"


async def test_an_unknown_event_is_none(connection: Any) -> None:
    assert await OutboxInspection(connection).fetch_event(uuid4()) is None
