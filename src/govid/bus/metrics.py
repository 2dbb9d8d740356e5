"""Counters and histograms of the bus, on a registry that the caller passes.

A label value is a name from a list in the code: an event type, a subscriber, a topic, an outcome,
an error class. It is never an id, a key or personal data (I9).

A series that an alarm watches exists from the start, at 0: Prometheus sees no increase in a series
that appears with its first count, so the first occurrence would raise no alarm.
"""

import time
from collections import Counter as Occurrences
from collections.abc import Collection, Iterable
from datetime import datetime
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

DELIVERY_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Histogram buckets for the time between an event and its delivery: idle, loaded, failing."""


UNCOUNTED_TYPE_PREFIXES = (
    "identity.review.",
    "identity.life_event.",
    "identity.registration.duplicate",
    "identity.letter.",
)
"""Prefixes of the event types that are not counted.

A client could compare their counter with a request of its own, and so learn what the response
conceals: that an identifier was reported dead, or that an account has this e-mail address.
"""
UNCOUNTED_SUBSCRIBERS = frozenset({"identity.letters"})
"""Subscribers of which only failures are counted, for the same reason."""
FAILURE_OUTCOMES = ("outage", "error", "transient")
"""The outcomes of failed deliveries that an alarm watches."""
INBOX_OUTCOMES = ("taken", "known", "conflict", "unknown_type", "unreadable", "stepped_over")
"""Outcomes of inbound records: stored, duplicate, id of another content (dead-lettered), unknown
version (parked), invalid (dead-lettered), and skipped without a copy. The labels are permanent.
"""


class KafkaState(StrEnum):
    """Connection state of Kafka, with the values that the health endpoint reports."""

    CONNECTING = "connecting"
    OK = "ok"
    DOWN = "down"


class BusMetrics:
    """The counters and histograms of one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register on *registry*; without one, the counts are not exported."""
        registry = registry or CollectorRegistry()
        # The time at which each series was created would be one more series for each.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # not typed by the library
        self._emitted = Counter(
            "govid_events_emitted",
            "Events written to the outbox, counted just before their commit.",
            ["type"],
            registry=registry,
        )
        self._deliveries = Counter(
            "govid_deliveries",
            "Deliveries by outcome; `repeated` was completed before and changed nothing.",
            ["subscriber", "outcome"],
            registry=registry,
        )
        self._delivery_seconds = Histogram(
            "govid_delivery_seconds",
            "Time from an event to the commit of its handler.",
            ["subscriber"],
            buckets=DELIVERY_SECONDS_BUCKETS,
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
            "Events that Kafka has acknowledged and whose delivery is completed.",
            ["topic"],
            registry=registry,
        )
        self._ack_seconds = Histogram(
            "govid_relay_ack_seconds",
            "Time from an event to Kafka's acknowledgement of its record, stored in the outbox.",
            ["topic"],
            buckets=DELIVERY_SECONDS_BUCKETS,
            registry=registry,
        )
        self._rebuilds = Counter(
            "govid_relay_producer_rebuilds",
            "Producers of the relay that were replaced, by error class.",
            ["reason"],
            registry=registry,
        )
        self._inbox = Counter(
            "govid_inbox_records",
            "Records that were read; `known` was received before or is govid's own.",
            ["topic", "outcome"],
            registry=registry,
        )
        self._inbox_removed = Counter(
            "govid_inbox_removed_records",
            "Inbound records that Kafka removed before they were read.",
            ["topic"],
            registry=registry,
        )
        self._sealed = Counter(
            "govid_audit_sealed_entries",
            "Entries of the audit log that got a leaf in its tree.",
            registry=registry,
        )
        self._refused_entries = Counter(
            "govid_audit_refused_entries",
            "Entries of the audit log that govid has not written, and so are never sealed.",
            registry=registry,
        )
        self._history_conflicts = Counter(
            "govid_audit_history_conflicts",
            "Rounds of the sealer that ended because the log lacks what was published.",
            registry=registry,
        )
        self._leases_lost = Counter(
            "govid_leases_lost",
            "Transactions that fencing stopped, because another replica owns the bucket.",
            registry=registry,
        )

    def create_delivery_series(self, types: Iterable[str], subscribers: Iterable[str]) -> None:
        """Create the series of event *types* and of failures at *subscribers*, at 0."""
        for name in types:
            if not name.startswith(UNCOUNTED_TYPE_PREFIXES):
                self._emitted.labels(name)
        for subscriber in subscribers:
            for outcome in FAILURE_OUTCOMES:
                self._deliveries.labels(subscriber, outcome)

    def create_inbox_series(self, topics: Iterable[str]) -> None:
        """Create the series of inbound *topics*, at 0."""
        for topic in topics:
            self._inbox_removed.labels(topic)
            for outcome in INBOX_OUTCOMES:
                self._inbox.labels(topic, outcome)

    def count_sealed(self, entries: int) -> None:
        """Count *entries* of the audit log that were sealed."""
        self._sealed.inc(entries)

    def count_refused_entry(self) -> None:
        """Count an entry of the audit log whose authentication code is not valid."""
        self._refused_entries.inc()

    def count_history_conflict(self) -> None:
        """Count a round of the sealer in which the log did not contain what was published."""
        self._history_conflicts.inc()

    def count_emitted(self, types: Iterable[str]) -> None:
        """Count events by their types."""
        for name in types:
            if name.startswith(UNCOUNTED_TYPE_PREFIXES):
                continue
            self._emitted.labels(name).inc()

    def count_failed_delivery(self, subscriber: str, outcome: str) -> None:
        """Count one failed delivery, whether it is retried or not."""
        self._deliveries.labels(subscriber, outcome).inc()

    def count_handled(self, subscriber: str, occurred_at: datetime, *, fresh: bool) -> None:
        """Count one completed delivery; if it is not *fresh*, the event was handled before."""
        if subscriber in UNCOUNTED_SUBSCRIBERS:
            return
        self._deliveries.labels(subscriber, "done" if fresh else "repeated").inc()
        if fresh:
            self._delivery_seconds.labels(subscriber).observe(_seconds_since(occurred_at))

    def count_group(self, subscriber: str, outcome: str) -> None:
        """Count a transaction of several deliveries: `committed`, or `split` after a failure."""
        self._groups.labels(subscriber, outcome).inc()

    def count_acknowledged(
        self, subscriber: str, records: Collection[tuple[str, datetime]]
    ) -> None:
        """Count acknowledged *records*: the topic of each, and when its event occurred."""
        self._deliveries.labels(subscriber, "done").inc(len(records))
        # Labels are looked up once a batch, because the aim is ten thousand records a second.
        topics = Occurrences(topic for topic, _ in records)
        seconds = {topic: self._ack_seconds.labels(topic).observe for topic in topics}
        for topic, occurred_at in records:
            seconds[topic](_seconds_since(occurred_at))
        for topic, count in topics.items():
            self._acked.labels(topic).inc(count)

    def count_producer_rebuild(self, reason: str) -> None:
        """Count a producer that was replaced; *reason* is an error class."""
        self._rebuilds.labels(reason).inc()

    def count_inbox_record(self, topic: str, outcome: str) -> None:
        """Count one record of the inbox."""
        self._inbox.labels(topic, outcome).inc()

    def count_removed_unread(self, topic: str, records: int) -> None:
        """Count inbound records that Kafka removed before they were read."""
        self._inbox_removed.labels(topic).inc(records)

    def count_lease_lost(self) -> None:
        """Count a transaction that fencing has stopped."""
        self._leases_lost.inc()


def _seconds_since(moment: datetime) -> float:
    # The clocks of two machines differ, and a duration is never negative.
    return max(0.0, time.time() - moment.timestamp())
