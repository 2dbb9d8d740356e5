"""What an operator sees of the outbox."""

from typing import Any
from uuid import uuid4

from govid.bus.inspection import Inspection
from govid.bus.masking import MASK
from govid.bus.selection import Selection
from tests.integration.cli.conftest import RELAY, SUBSCRIBER, Past


async def test_nothing_is_pending_at_first(connection: Any) -> None:
    assert await Inspection(connection).status() == []


async def test_status_counts_pending_deliveries_by_subscriber(
    outbox: Past, connection: Any
) -> None:
    stuck = await outbox.emit()
    await outbox.emit()
    await outbox.park(SUBSCRIBER, stuck)
    relay, nhs = await Inspection(connection).status()
    assert (relay.subscriber, relay.pending, relay.parked_keys, relay.dead) == (RELAY, 2, 0, 0)
    assert (nhs.subscriber, nhs.pending, nhs.parked_keys, nhs.dead) == (SUBSCRIBER, 2, 1, 0)
    assert relay.oldest_seconds is not None
    assert 0 < relay.oldest_seconds < 60


async def test_each_delivery_has_exactly_one_state(outbox: Past, connection: Any) -> None:
    account = uuid4()
    head, behind = await outbox.emit(account), await outbox.emit(account)
    await outbox.park(SUBSCRIBER, head)
    await outbox.complete(RELAY)
    found = await Inspection(connection).find(Selection())
    assert [(line.id, line.subscriber, line.state, line.reason) for line in found] == [
        (behind, RELAY, "done", None),
        (behind, SUBSCRIBER, "pending", None),
        (head, RELAY, "done", None),
        (head, SUBSCRIBER, "parked", "error"),
    ]


async def test_selectors_narrow_and_the_limit_limits(outbox: Past, connection: Any) -> None:
    first, second = await outbox.emit(), await outbox.emit()
    inspection = Inspection(connection)
    by_id = await inspection.find(Selection(ids=[first], subscriber=RELAY))
    assert [line.id for line in by_id] == [first]
    assert await inspection.find(Selection(type="no.such.type")) == []
    assert await inspection.find(Selection(), state="dead") == []
    newest = await inspection.find(Selection(subscriber=RELAY), limit=1)
    assert [line.id for line in newest] == [second]


async def test_an_event_is_shown_with_its_fate_and_without_its_identifier(
    outbox: Past, connection: Any
) -> None:
    account = uuid4()
    event_id = await outbox.emit(account)
    await outbox.complete(RELAY)
    detail = await Inspection(connection).show(event_id)
    assert detail is not None
    assert detail.payload["identifierValue"] == MASK
    assert detail.payload["userId"] == str(account)
    assert detail.headers["correlation_id"] == "past"
    assert [(line["subscriber"], line["state"]) for line in detail.deliveries] == [
        (RELAY, "done"),
        (SUBSCRIBER, "pending"),
    ]
    assert "9990000018" not in repr(detail)


async def test_raw_shows_the_identifier(outbox: Past, connection: Any) -> None:
    detail = await Inspection(connection).show(await outbox.emit(), raw=True)
    assert detail is not None
    assert detail.payload["identifierValue"] == "9990000018"


async def test_an_unknown_event_is_none(connection: Any) -> None:
    assert await Inspection(connection).show(uuid4()) is None
