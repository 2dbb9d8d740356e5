"""What an operator did to the outbox. Each act is an event in the transaction of what it did."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from govid.bus.shared.contract import Event


class OutboxAct(Event, frozen=True, kw_only=True, rename="camel"):
    """A batch of an operator's act. All batches of one command share `act_id`.

    `deliveries` holds the events that were touched, by subscriber. `selection` is what was asked
    for. `stated_reason` is the operator's own words, which may name nobody.
    """

    act_id: UUID
    operator: str
    stated_reason: str
    selection: Mapping[str, str]
    deliveries: Mapping[str, Sequence[UUID]]
    timestamp: datetime


class OutboxReplayed(OutboxAct, frozen=True, kw_only=True):
    """What had been delivered is delivered again."""


class OutboxRetried(OutboxAct, frozen=True, kw_only=True):
    """What was stuck tries again, with all its attempts."""


class OutboxUnparked(OutboxAct, frozen=True, kw_only=True):
    """Parked keys go on, with the attempts that they have left."""


class OutboxDiscarded(OutboxAct, frozen=True, kw_only=True):
    """What was stuck will never be handled."""


class OutboxBackfilled(OutboxAct, frozen=True, kw_only=True):
    """A subscriber gets events that had not been addressed to it."""


class TopicAct(Event, frozen=True, kw_only=True, rename="camel"):
    """An operator's act on topics, whose names are Kafka's.

    `stated_reason` is the operator's own words, which may name nobody.
    """

    act_id: UUID
    operator: str
    stated_reason: str
    timestamp: datetime


class TopicPartitionsAccepted(TopicAct, frozen=True, kw_only=True):
    """A topic's new number of partitions decides from now on where keys are published."""

    topic: str
    partitions_before: int
    partitions: int


class TopicGapAccepted(TopicAct, frozen=True, kw_only=True):
    """Records that Kafka removed before govid read them are given up.

    From `first_offset` to before `next_offset`.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int


class TopicKafkaAheadAccepted(TopicAct, frozen=True, kw_only=True):
    """Kafka holds records that the database does not know, and govid publishes all the same.

    `ends` holds the end offset of each partition (`topic/partition`) up to which that is so.
    """

    ends: Mapping[str, int]


class TopicRecordsSkipped(TopicAct, frozen=True, kw_only=True):
    """Records of a partition at which the inbox had stopped are never handled.

    From `first_offset` to before `next_offset`. `fault` is why it had stopped.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    fault: str


class DataViewed(Event, frozen=True, kw_only=True, rename="camel"):
    """An operator is shown personal data, or the state of an account; stored before that.

    `view` is the command. `account_id` is the account, None for a stream of events.
    """

    act_id: UUID
    operator: str
    stated_reason: str
    view: Literal["accounts show", "events tail --raw"]
    account_id: UUID | None = None
    timestamp: datetime
