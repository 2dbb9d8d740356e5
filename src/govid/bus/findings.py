"""What a check of the outbox can find, each with what a person can do about it."""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

import msgspec

from govid.bus.consumers import RELAY
from govid.bus.ids import moment_of

Problem = Literal[
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

ONE_EVENT = 'docs/restore.md, "One event", brings a row back'
MEND_ALL = (
    "`govid outbox replay --unproved --reason '...'` publishes all again that Kafka has lost, with "
    "the same ids"
)
A_DATABASE = "stop govid and read docs/restore.md before it publishes anything"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, as a sentence, and the remedy. `place` is topic/partition/offset."""

    problem: Problem
    text: str
    remedy: str
    subscriber: str | None = None
    event_id: UUID | None = None
    key: str | None = None
    place: str | None = None
    count: int = 1
    """How many rows or records are meant; `event_id` and `place` are those of the first."""

    def line(self) -> str:
        """Return it in one line."""
        return f"{self.problem}: {self.text}. To do: {self.remedy}."


def at_addressee(problem: Problem, subscriber: str, event_id: UUID, state: str | None) -> Finding:
    """Return what is wrong with one event at one subscriber, whose *state* of it is known or not.

    For *problem* one of lost, doubled, event_deleted and parked_for_nothing.
    """
    chosen = f"--id {event_id} --subscriber {subscriber} --reason '...'`"
    texts: Mapping[str, str] = {
        "lost": f"{subscriber} was to get event {event_id}, and has neither debt nor receipt",
        "doubled": f"event {event_id} is in two states at {subscriber}, one of them {state}",
        "event_deleted": f"{subscriber} has event {event_id} ({state or 'owed'}); its row is gone",
        "parked_for_nothing": f"{subscriber} stands still for event {event_id}, which is not owed",
    }
    effect = (
        "publishes it (again), with the same id"
        if subscriber == RELAY
        else "hands it over (again): a handler does nothing where the state does not fit"
    )
    remedies: Mapping[str, str] = {
        "lost": f"`govid outbox backfill {chosen} {effect}",
        "doubled": f"a receipt counts, and `govid outbox retry {chosen} takes a dead row away",
        "event_deleted": ONE_EVENT,
        "parked_for_nothing": f"`govid outbox retry {chosen} lets its key go on",
    }
    return Finding(
        problem=problem,
        text=texts[problem],
        remedy=remedies[problem],
        subscriber=subscriber,
        event_id=event_id,
    )


def lost_events(subscriber: str, first: UUID, count: int) -> Finding:
    """Return that a subscriber has neither a debt nor a receipt for *count* events."""
    return Finding(
        problem="lost",
        text=f"{subscriber} was to get {count} events, the first being {first} of "
        f"{_time(first)}, and has neither debts nor receipts",
        remedy=f"`govid outbox backfill --subscriber {subscriber} --since "
        f"{moment_of(first).isoformat()} --reason '...'` delivers all that it has not had",
        subscriber=subscriber,
        event_id=first,
        count=count,
    )


def numbers_missing(key: str, first: int, last: int, near: UUID) -> Finding:
    """Return that a key's events *first* to *last* are gone; *near* is an id of their time."""
    which = f"event {first}" if first == last else f"events {first} to {last}"
    return Finding(
        problem="numbers_missing",
        text=f"{which} of key {key} existed (about when {near} did), and no row has that number",
        remedy=ONE_EVENT,
        key=key,
        event_id=near,
    )


def numbers_forgotten(key: str, seq: int) -> Finding:
    """Return that a key would count again what it had counted up to *seq*."""
    return Finding(
        problem="numbers_forgotten",
        text=f"key {key} has an event {seq}, and its counter in bus.stream is gone or behind",
        remedy=f'set the counter to {seq} (docs/restore.md, "The counter of a key")',
        key=key,
    )


def record_missing(place: str, event_id: UUID, more: int = 0) -> Finding:
    """Return that Kafka has no record where a receipt says that it put one.

    So it is for *more* records of the topic.
    """
    return Finding(
        problem="record_missing",
        text=f"Kafka has no record at {place}, where it had taken event {event_id}" + _more(more),
        remedy=MEND_ALL,
        subscriber=RELAY,
        event_id=event_id,
        place=place,
        count=1 + more,
    )


def record_differs(place: str, event_id: UUID, found: UUID | None, more: int = 0) -> Finding:
    """Return that another record stands where a receipt says that the event does.

    So it is for *more* records of the topic.
    """
    return Finding(
        problem="record_differs",
        text=f"Kafka has {found or 'a record that is not of govid'} at {place}, where it had taken "
        f"event {event_id}{_more(more)}: records were lost, or this is another Kafka",
        remedy=MEND_ALL,
        subscriber=RELAY,
        event_id=event_id,
        place=place,
        count=1 + more,
    )


def record_unreadable(place: str, first: int, next_offset: int, reason: str) -> Finding:
    """Return that records could not be read, so that what receipts claim of them is not proved."""
    return Finding(
        problem="record_unreadable",
        text=f"the records at {place}/{first} to {next_offset - 1} cannot be read ({reason}): what "
        "receipts claim of them is neither proved nor disproved",
        remedy='docs/runbook.md, "A batch cannot be read", tells what each reason means',
        place=f"{place}/{first}",
        count=next_offset - first,
    )


def partition_silent(place: str) -> Finding:
    """Return that a partition has no leader, so that what receipts claim of it is not proved."""
    return Finding(
        problem="partition_silent",
        text=f"{place} has no leader and cannot be read: what receipts claim of it is neither "
        "proved nor disproved",
        remedy="bring back a broker that holds it, then prove again",
        place=place,
    )


def record_unknown(place: str, first: int, last: int, count: int, event_id: UUID) -> Finding:
    """Return that Kafka has records in the middle that the database does not know."""
    return Finding(
        problem="record_unknown",
        text=f"Kafka has {count} records at {place}/{first} to {last} whose events are not in this "
        f"database, the first being {event_id} of {_time(event_id)}: rows were deleted, or it was "
        "restored at that time",
        remedy=f"{ONE_EVENT}; after a restore prove what is younger, with --since",
        event_id=event_id,
        place=f"{place}/{first}",
    )


def kafka_ahead(place: str, first: int, count: int, event_id: UUID) -> Finding:
    """Return that Kafka knows events which came after all that the database knows."""
    return Finding(
        problem="kafka_ahead",
        text=f"Kafka is ahead of this database at {place}: {count} records from offset {first} on, "
        f"made since {_time(event_id)} (the first is event {event_id}), are not in it. It was "
        "restored from an older backup, or is another one",
        remedy=A_DATABASE,
        event_id=event_id,
        place=f"{place}/{first}",
    )


def topic_missing(wire_name: str, count: int) -> Finding:
    """Return that a topic is gone to which *count* events were published, as far as they count."""
    return Finding(
        problem="topic_missing",
        text=f"{count} events were published to {wire_name}, and Kafka has no such topic",
        remedy="is this the right Kafka? A server that runs creates the topic again. Then "
        + MEND_ALL,
        place=wire_name,
        count=count,
    )


def partitions_changed(topic: str, before: int, now: int) -> Finding:
    """Return that a topic has another number of partitions than it had at first sight."""
    return Finding(
        problem="partitions_changed",
        text=f"topic {topic} has {now} partitions and had {before} when it was first seen",
        remedy=f"nothing has to be done: govid goes on with {before}. To use the new number: "
        f"`govid topics accept {topic} --reason '...'`",
        place=topic,
    )


def inbound_removed(topic: str, partition: int, first: int, next_offset: int) -> Finding:
    """Return that Kafka removed inbound records before they were read."""
    count = next_offset - first
    return Finding(
        problem="inbound_removed",
        text=f"Kafka removed {count} records at {topic}/{partition}/{first} to {next_offset - 1} "
        "before they were read: by retention, or by hand",
        remedy="ask who sends them to send them again; then `govid topics accept-gap "
        f"{topic} {partition} {first} --reason '...'`",
        place=f"{topic}/{partition}/{first}",
        count=count,
    )


def foreign_producer(place: str, installation: str, count: int) -> Finding:
    """Return that another installation of govid writes to a topic of this one."""
    return Finding(
        problem="foreign_producer",
        text=f"{count} records at {place} are of another installation of govid ({installation}): "
        "two share the topics, and each reads what is meant for the other",
        remedy="give one of them topics of its own by GOVID_KAFKA_PREFIX",
        place=place,
    )


def _more(count: int) -> str:
    return f", and {count} more of this topic are gone" if count else ""


def _time(event_id: UUID) -> str:
    return moment_of(event_id).isoformat(timespec="seconds")
