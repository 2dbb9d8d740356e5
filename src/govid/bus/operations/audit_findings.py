"""The findings of an audit of the outbox or of Kafka, each with its remedy for an operator."""

from collections.abc import AsyncIterator, Mapping
from typing import Literal
from uuid import UUID

import msgspec

from govid.bus.delivery.subscriptions import RELAY
from govid.bus.shared.ids import uuid7_timestamp

AuditProblem = Literal[
    "lost",
    "doubled",
    "event_deleted",
    "parked_for_nothing",
    "numbers_missing",
    "numbers_forgotten",
    "record_missing",
    "record_differs",
    "record_unreadable",
    "partition_silent",
    "record_unknown",
    "kafka_ahead",
    "topic_missing",
    "partitions_changed",
    "foreign_producer",
    "inbound_removed",
]

RESTORE_ROW_REMEDY = 'docs/restore.md, "One event", brings a row back'
REPLAY_REMEDY = (
    "`govid outbox replay --unproved --reason '...'` publishes all again that Kafka has lost, with "
    "the same ids"
)
RESTORED_DATABASE_REMEDY = "stop govid and read docs/restore.md before it publishes anything"


class AuditFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem, as a sentence, and its remedy. `place` is topic/partition/offset."""

    problem: AuditProblem
    text: str
    remedy: str
    subscriber: str | None = None
    event_id: UUID | None = None
    key: str | None = None
    place: str | None = None
    count: int = 1
    """The number of affected rows or records; `event_id` and `place` are those of the first."""

    def format_line(self) -> str:
        """Format the finding in one line."""
        return f"{self.problem}: {self.text}. To do: {self.remedy}."


def delivery_problem(
    problem: AuditProblem, subscriber: str, event_id: UUID, state: str | None
) -> AuditFinding:
    """Describe *problem* with the delivery of one event to one subscriber.

    *problem* is lost, doubled, event_deleted or parked_for_nothing; *state* is that of the
    delivery, None if it is pending or missing.
    """
    chosen = f"--id {event_id} --subscriber {subscriber} --reason '...'`"
    texts: Mapping[str, str] = {
        "lost": f"{subscriber} has neither a pending delivery nor a receipt of event {event_id}",
        "doubled": f"event {event_id} is in two states at {subscriber}, one of them {state}",
        "event_deleted": f"{subscriber} has a delivery ({state or 'pending'}) of event {event_id}, "
        "whose row is gone",
        "parked_for_nothing": f"a key of {subscriber} is parked at event {event_id}, but that "
        "event is not pending",
    }
    effect = (
        "publishes it (again), with the same id"
        if subscriber == RELAY
        else "delivers it (again): a handler does nothing if the state does not fit"
    )
    remedies: Mapping[str, str] = {
        "lost": f"`govid outbox backfill {chosen} {effect}",
        "doubled": f"a receipt counts, and `govid outbox retry {chosen} removes a dead letter",
        "event_deleted": RESTORE_ROW_REMEDY,
        "parked_for_nothing": f"`govid outbox retry {chosen} unparks its key",
    }
    return AuditFinding(
        problem=problem,
        text=texts[problem],
        remedy=remedies[problem],
        subscriber=subscriber,
        event_id=event_id,
    )


def deliveries_lost(subscriber: str, first: UUID, count: int) -> AuditFinding:
    """Report that a subscriber has neither a pending delivery nor a receipt of *count* events."""
    return AuditFinding(
        problem="lost",
        text=f"{subscriber} is missing {count} of its events: no pending delivery and no receipt "
        f"exists. The first is {first} of {_format_event_time(first)}",
        remedy=f"`govid outbox backfill --subscriber {subscriber} --since "
        f"{uuid7_timestamp(first).isoformat()} --reason '...'` delivers all that it lacks",
        subscriber=subscriber,
        event_id=first,
        count=count,
    )


async def merge_lost_findings(
    findings: AsyncIterator[list[AuditFinding]],
) -> AsyncIterator[list[AuditFinding]]:
    """Pass *findings* on, but merge those of lost events into one per subscriber at the end."""
    lost: dict[str, AuditFinding] = {}
    async for found in findings:
        for one in found:
            if one.problem == "lost" and one.subscriber and one.event_id:
                first = lost.get(one.subscriber)
                lost[one.subscriber] = one if first is None else _merge_lost(first, one)
        yield [one for one in found if one.problem != "lost"]
    yield [*lost.values()]


def _merge_lost(first: AuditFinding, other: AuditFinding) -> AuditFinding:
    ids = [one.event_id for one in (first, other) if one.event_id is not None]
    return deliveries_lost(str(first.subscriber), min(ids), first.count + other.count)


def sequence_gap(key: str, first: int, last: int, near_event_id: UUID) -> AuditFinding:
    """Report that a key's events *first* to *last* are gone.

    *near_event_id* is the id of an event of about the same time.
    """
    which = f"event {first}" if first == last else f"events {first} to {last}"
    return AuditFinding(
        problem="numbers_missing",
        text=f"{which} of key {key} existed (at about the time of event {near_event_id}), and no "
        "row has that sequence number",
        remedy=RESTORE_ROW_REMEDY,
        key=key,
        event_id=near_event_id,
    )


def sequence_counter_behind(key: str, seq: int) -> AuditFinding:
    """Report that a key's sequence counter is missing or below its number *seq*."""
    return AuditFinding(
        problem="numbers_forgotten",
        text=f"key {key} has an event {seq}, and its counter in bus.stream is missing or behind",
        remedy=f'set the counter to {seq} (docs/restore.md, "The counter of a key")',
        key=key,
    )


def record_missing(place: str, event_id: UUID, more: int = 0) -> AuditFinding:
    """Report that Kafka has no record at the position of a receipt.

    *more* is the number of further records of the topic that are missing.
    """
    return AuditFinding(
        problem="record_missing",
        text=f"Kafka has no record at {place}, where it had acknowledged event {event_id}"
        + _format_more(more),
        remedy=REPLAY_REMEDY,
        subscriber=RELAY,
        event_id=event_id,
        place=place,
        count=1 + more,
    )


def record_differs(place: str, event_id: UUID, found: UUID | None, more: int = 0) -> AuditFinding:
    """Report that Kafka has another record at the position of a receipt.

    *more* is the number of further records of the topic that differ.
    """
    return AuditFinding(
        problem="record_differs",
        text=f"Kafka has {found or 'a record that is not of govid'} at {place}, where it had "
        f"acknowledged event {event_id}{_format_more(more)}: records were lost, or this is another "
        "Kafka",
        remedy=REPLAY_REMEDY,
        subscriber=RELAY,
        event_id=event_id,
        place=place,
        count=1 + more,
    )


def record_unreadable(place: str, first: int, next_offset: int, reason: str) -> AuditFinding:
    """Report that records could not be read, so that their receipts could not be verified."""
    return AuditFinding(
        problem="record_unreadable",
        text=f"the records at {place}/{first} to {next_offset - 1} cannot be read ({reason}): "
        "their receipts could not be verified",
        remedy='docs/runbook.md, "A batch cannot be read", explains each reason',
        place=f"{place}/{first}",
        count=next_offset - first,
    )


def partition_silent(place: str) -> AuditFinding:
    """Report that a partition has no leader, so that its receipts could not be verified."""
    return AuditFinding(
        problem="partition_silent",
        text=f"{place} has no leader and cannot be read: its receipts could not be verified",
        remedy="start a broker that has a replica of it, then verify again",
        place=place,
    )


def record_unknown(place: str, first: int, last: int, count: int, event_id: UUID) -> AuditFinding:
    """Report records in Kafka whose events are not in the database, although later ones are."""
    return AuditFinding(
        problem="record_unknown",
        text=f"Kafka has {count} records at {place}/{first} to {last} whose events are not in this "
        f"database, the first being {event_id} of {_format_event_time(event_id)}: rows were "
        "deleted, it was restored at that time, or a standby without them was promoted",
        remedy=f"{RESTORE_ROW_REMEDY}; after a restore or a promotion verify only what is younger, "
        "with --since",
        event_id=event_id,
        place=f"{place}/{first}",
        count=count,
    )


def kafka_ahead(place: str, first: int, count: int, event_id: UUID) -> AuditFinding:
    """Report that Kafka has events that are younger than all events of the database."""
    return AuditFinding(
        problem="kafka_ahead",
        text=f"Kafka is ahead of this database at {place}: {count} records from offset {first} on, "
        f"made since {_format_event_time(event_id)} (the first is event {event_id}), are not in it."
        " It was restored from an older backup, is a standby that was promoted without them, or is "
        "another one",
        remedy=RESTORED_DATABASE_REMEDY,
        event_id=event_id,
        place=f"{place}/{first}",
        count=count,
    )


def topic_missing(wire_name: str, count: int) -> AuditFinding:
    """Report that a topic is missing to which *count* audited events were published."""
    return AuditFinding(
        problem="topic_missing",
        text=f"{count} events were published to {wire_name}, and Kafka has no such topic",
        remedy="check that this is the right Kafka. A running server creates the topic again. Then "
        + REPLAY_REMEDY,
        place=wire_name,
        count=count,
    )


def partitions_changed(topic: str, before: int, now: int) -> AuditFinding:
    """Report that a topic has another number of partitions than when it was first seen."""
    return AuditFinding(
        problem="partitions_changed",
        text=f"topic {topic} has {now} partitions and had {before} when it was first seen",
        remedy=f"no action is needed: govid continues with {before}. To use the new number: "
        f"`govid topics accept {topic} --reason '...'`",
        place=topic,
    )


def inbound_removed(topic: str, partition: int, first: int, next_offset: int) -> AuditFinding:
    """Report that Kafka removed inbound records before they were read."""
    count = next_offset - first
    return AuditFinding(
        problem="inbound_removed",
        text=f"Kafka removed {count} records at {topic}/{partition}/{first} to {next_offset - 1} "
        "before they were read: by retention, or by hand",
        remedy="ask their producer to send them again; then `govid topics accept-gap "
        f"{topic} {partition} {first} --reason '...'`",
        place=f"{topic}/{partition}/{first}",
        count=count,
    )


def foreign_producer(place: str, installation: str, count: int) -> AuditFinding:
    """Report that another installation of govid writes to a topic of this one."""
    return AuditFinding(
        problem="foreign_producer",
        text=f"{count} records at {place} are of another installation of govid ({installation}): "
        "two installations share the topics, and each reads the records of the other",
        remedy="give one of them its own topics by GOVID_KAFKA_PREFIX",
        place=place,
    )


def _format_more(count: int) -> str:
    return f", and {count} more of this topic are gone" if count else ""


def _format_event_time(event_id: UUID) -> str:
    return uuid7_timestamp(event_id).isoformat(timespec="seconds")
