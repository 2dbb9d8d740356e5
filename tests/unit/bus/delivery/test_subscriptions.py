"""Which subscriber gets which event."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from govid.bus import OperationContext, PseudonymGenerator, Subscriber, Subscriptions
from govid.bus.delivery.subscriptions import BUCKETS, RELAY, bucket_for_key
from govid.bus.events import AccountBlocked, Event, IdentifierType, VerificationRequested
from govid.bus.events.envelope import EnvelopeFactory, EventEnvelope
from govid.bus.events.registry import EventRegistry

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Idle:
    async def prepare(self, delivery: object) -> None: ...

    async def apply(self, tx: object, delivery: object, outcome: None) -> None: ...


def nhs_only(event: VerificationRequested) -> bool:
    return event.identifier_type is IdentifierType.NHS


def sealed(event: Event) -> EventEnvelope:
    sealer = EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"k" * 32))
    return sealer.build(event, OperationContext(correlation_id="c"), NOW)


def a_request(kind: IdentifierType) -> EventEnvelope:
    return sealed(
        VerificationRequested(
            user_id=uuid4(),
            identifier_type=kind,
            identifier_value="x",
            timestamp=NOW,
            correlation_id="c",
        )
    )


@pytest.fixture
def subscriptions() -> Subscriptions:
    registry = Subscriptions()
    registry.add(
        Subscriber(
            name="nhs.verification",
            handles=(VerificationRequested,),
            handler=Idle(),
            predicate=nhs_only,
        )
    )
    return registry


def test_a_department_gets_its_own_requests_and_kafka_gets_all(
    subscriptions: Subscriptions,
) -> None:
    assert subscriptions.subscribers_for(a_request(IdentifierType.NHS)) == [
        "nhs.verification",
        RELAY,
    ]
    assert subscriptions.subscribers_for(a_request(IdentifierType.NIN)) == [RELAY]


def test_what_came_from_kafka_does_not_go_back(subscriptions: Subscriptions) -> None:
    assert subscriptions.module_subscribers_for(a_request(IdentifierType.NHS)) == [
        "nhs.verification"
    ]


def test_an_event_without_a_topic_stays_inside(subscriptions: Subscriptions) -> None:
    blocked = sealed(AccountBlocked(account_id=uuid4(), timestamp=NOW))
    assert subscriptions.subscribers_for(blocked) == []


@pytest.mark.parametrize("name", ["nhs.verification", RELAY])
def test_a_name_is_taken_once(subscriptions: Subscriptions, name: str) -> None:
    with pytest.raises(ValueError, match="is registered twice"):
        subscriptions.add(Subscriber(name=name, handles=(), handler=Idle()))


def test_buckets_are_the_same_for_ever() -> None:
    # Rows remember the bucket: this function may never change.
    assert [bucket_for_key(key) for key in ("a", "account/1", "death/2")] == [3, 50, 34]
    assert {bucket_for_key(f"key-{n}") for n in range(1000)} == set(range(BUCKETS))
