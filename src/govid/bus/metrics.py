"""What the bus counts. The instruments stand on a registry that is handed in; nobody owns it here.

A label holds a name out of a list that the code knows: a type, a subscriber, a topic, an outcome,
the class of an error. Never an id, a key or a value of a person (I9).

A series that an alarm watches is there from the start, at 0: Prometheus sees no increase in a
series that appears with its first count, and the first of its kind would raise no alarm.
"""

import time
from collections import Counter as Tally
from collections.abc import Collection, Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Buckets for the time between an event and what became of it: idle, under load, in trouble."""


UNCOUNTED = (
    "identity.review.",
    "identity.life_event.",
    "identity.registration.duplicate",
    "identity.letter.",
)
"""How the types of events begin that no counter tells.

Beside a request of one's own, one of them would say what the answer conceals: that a number was
reported dead, or that an account has this address.
"""
UNCOUNTED_SUBSCRIBERS = frozenset({"identity.letters"})
"""Of these only failures are counted, for the same reason."""
FAILURE_OUTCOMES = ("outage", "error", "transient")
"""What becomes of a delivery that came to nothing, as far as an alarm watches it."""
INBOX_OUTCOMES = ("taken", "known", "conflict", "unknown_type", "unreadable", "stepped_over")


class Metrics:
    """The instruments of one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Stand on *registry*; without one, count where nobody looks."""
        registry = registry or CollectorRegistry()
        # When each series began would be one more series for each.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library forgot it
        self._emitted = Counter(
            "govid_events_emitted",
            "Events written to the outbox, by the last statement before their commit.",
            ["type"],
            registry=registry,
        )
        self._deliveries = Counter(
            "govid_deliveries",
            "What became of deliveries; `repeated` had been done before and changed nothing.",
            ["subscriber", "outcome"],
            registry=registry,
        )
        self._delivery_seconds = Histogram(
            "govid_delivery_seconds",
            "From an event to the commit of what a module did about it.",
            ["subscriber"],
            buckets=SECONDS,
            registry=registry,
        )
        self._groups = Counter(
            "govid_delivery_groups",
            "Transactions for deliveries of several keys; a `split` one was rolled back.",
            ["subscriber", "outcome"],
            registry=registry,
        )
        self._acked = Counter(
            "govid_relay_acked",
            "Events that Kafka has acknowledged and the outbox has struck off.",
            ["topic"],
            registry=registry,
        )
        self._ack_seconds = Histogram(
            "govid_relay_ack_seconds",
            "From an event to Kafka's acknowledgement of its record, noted in the outbox.",
            ["topic"],
            buckets=SECONDS,
            registry=registry,
        )
        self._rebuilds = Counter(
            "govid_relay_producer_rebuilds",
            "Producers of the relay that were given up, by the class of the error.",
            ["reason"],
            registry=registry,
        )
        self._inbox = Counter(
            "govid_inbox_records",
            "Records that were read; `known` had come before or were govid's own.",
            ["topic", "outcome"],
            registry=registry,
        )
        self._inbox_removed = Counter(
            "govid_inbox_removed_records",
            "Inbound records that Kafka removed before they were read.",
            ["topic"],
            registry=registry,
        )
        self._leases_lost = Counter(
            "govid_leases_lost",
            "Transactions that the fence stopped, because another replica had the bucket.",
            registry=registry,
        )

    def expect(self, types: Iterable[str], subscribers: Iterable[str]) -> None:
        """Begin the series of event *types* and of failures at *subscribers*, at 0."""
        for name in types:
            if not name.startswith(UNCOUNTED):
                self._emitted.labels(name)
        for subscriber in subscribers:
            for outcome in FAILURE_OUTCOMES:
                self._deliveries.labels(subscriber, outcome)

    def expect_records(self, topics: Iterable[str]) -> None:
        """Begin the series of inbound *topics*, at 0."""
        for topic in topics:
            self._inbox_removed.labels(topic)
            for outcome in INBOX_OUTCOMES:
                self._inbox.labels(topic, outcome)

    def emitted(self, types: Iterable[str]) -> None:
        """Count events by their types."""
        for name in types:
            if name.startswith(UNCOUNTED):
                continue
            self._emitted.labels(name).inc()

    def delivered(self, subscriber: str, outcome: str) -> None:
        """Count one delivery that came to nothing, for now or for good."""
        self._deliveries.labels(subscriber, outcome).inc()

    def handled(self, subscriber: str, occurred_at: datetime, *, fresh: bool) -> None:
        """Count one delivery that is done; if it is not *fresh*, it was done before."""
        if subscriber in UNCOUNTED_SUBSCRIBERS:
            return
        self._deliveries.labels(subscriber, "done" if fresh else "repeated").inc()
        if fresh:
            self._delivery_seconds.labels(subscriber).observe(_since(occurred_at))

    def group_ended(self, subscriber: str, outcome: str) -> None:
        """Count a transaction of several deliveries: `committed`, or `split` after a failure."""
        self._groups.labels(subscriber, outcome).inc()

    def acknowledged(self, subscriber: str, records: Collection[tuple[str, datetime]]) -> None:
        """Count *records* that Kafka has: the topic of each, and when its event occurred."""
        self._deliveries.labels(subscriber, "done").inc(len(records))
        # Ten thousand of them a second is the aim: labels are looked up once a batch.
        topics = Tally(topic for topic, _ in records)
        seconds = {topic: self._ack_seconds.labels(topic).observe for topic in topics}
        for topic, occurred_at in records:
            seconds[topic](_since(occurred_at))
        for topic, count in topics.items():
            self._acked.labels(topic).inc(count)

    def rebuilt(self, reason: str) -> None:
        """Count a producer that was given up; *reason* is the class of an error."""
        self._rebuilds.labels(reason).inc()

    def read(self, topic: str, outcome: str) -> None:
        """Count one record of the inbox."""
        self._inbox.labels(topic, outcome).inc()

    def removed_unread(self, topic: str, records: int) -> None:
        """Count inbound records that Kafka removed before they were read."""
        self._inbox_removed.labels(topic).inc(records)

    def lease_lost(self) -> None:
        """Count a transaction that the fence has stopped."""
        self._leases_lost.inc()


def _since(moment: datetime) -> float:
    # Clocks of two machines differ, and time does not run backwards.
    return max(0.0, time.time() - moment.timestamp())
