"""Events of operator commands, and the records of the log topics.

The event of a command is stored in the transaction of the change it describes. Log records hold
requests and access decisions of the gateway; address and user agent are marked personal.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from govid.bus.shared.contract import Event
from govid.bus.shared.privacy import Personal


class OutboxAct(Event, frozen=True, kw_only=True, rename="camel"):
    """A batch of an operator action on the outbox. All batches of one command share `act_id`.

    `deliveries` holds the ids of the changed events by subscriber, `selection` the filter of the
    command. `stated_reason` is the free text of the operator, without personal data.
    """

    act_id: UUID
    operator: str
    stated_reason: str
    selection: Mapping[str, str]
    deliveries: Mapping[str, Sequence[UUID]]
    timestamp: datetime


class OutboxReplayed(OutboxAct, frozen=True, kw_only=True):
    """Completed deliveries were added again."""


class OutboxRetried(OutboxAct, frozen=True, kw_only=True):
    """Parked or dead-lettered deliveries are retried with all their attempts."""


class OutboxUnparked(OutboxAct, frozen=True, kw_only=True):
    """Parked keys are retried with the attempts that they have left."""


class OutboxDiscarded(OutboxAct, frozen=True, kw_only=True):
    """Parked or dead-lettered deliveries were discarded and will never be handled."""


class OutboxBackfilled(OutboxAct, frozen=True, kw_only=True):
    """Deliveries were added for events that had not been addressed to the subscriber."""


class TopicAct(Event, frozen=True, kw_only=True, rename="camel"):
    """An operator action on a topic, which is named as in Kafka.

    `stated_reason` is the free text of the operator, without personal data.
    """

    act_id: UUID
    operator: str
    stated_reason: str
    timestamp: datetime


class TopicPartitionsAccepted(TopicAct, frozen=True, kw_only=True):
    """An operator accepted a new number of partitions: it places the keys of later records."""

    topic: str
    partitions_before: int
    partitions: int


class TopicGapAccepted(TopicAct, frozen=True, kw_only=True):
    """An operator accepted the loss of records that Kafka removed before govid read them.

    The records are those from `first_offset` to before `next_offset`.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int


class TopicKafkaAheadAccepted(TopicAct, frozen=True, kw_only=True):
    """An operator accepted that Kafka holds records that the database does not know.

    `ends` holds, by `topic/partition`, the end offset up to which unknown records are accepted.
    """

    ends: Mapping[str, int]


class TopicRecordsSkipped(TopicAct, frozen=True, kw_only=True):
    """An operator skipped records at which the inbox had stopped; they are never handled.

    The records are those from `first_offset` to before `next_offset`. `fault` is why the partition
    had stopped.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    fault: str


DataView = Literal["accounts show", "events tail --raw", "audit search", "audit export"]


class DataViewed(Event, frozen=True, kw_only=True, rename="camel"):
    """Personal data or the state of an account is shown to an operator; stored before it is shown.

    `view` is the command. `account_id` is None if the data of several accounts is shown.
    """

    act_id: UUID
    operator: str
    stated_reason: str
    view: DataView
    account_id: UUID | None = None
    timestamp: datetime


class DataRead(Event, frozen=True, kw_only=True, rename="camel"):
    """A person reads data of another person; stored before the response is sent.

    `reader_id` is the account of the reader and `role` the role that permits it. `purpose` is a
    permanent code; `fields` names what the response holds.
    """

    account_id: UUID
    reader_id: UUID
    role: str
    purpose: str
    fields: Sequence[str]
    timestamp: datetime


class AuditCheckpointSealed(Event, frozen=True, kw_only=True):
    """The audit log has grown. `checkpoint` is a signed note (C2SP) of its size and root hash.

    `root` is base64. A consumer that keeps these records can prove that nothing was taken back.
    """

    origin: str
    size: int
    root: str
    checkpoint: str
    timestamp: datetime


class RequestReceived(Event, frozen=True, kw_only=True):
    """A request was received."""

    timestamp: datetime
    level: str = "INFO"
    service: str = "gateway"
    message: str = "request received"
    method: str
    path: str
    client_ip: Personal[str | None]
    user_agent: Personal[str | None]
    request_id: str
    correlation_id: str


class RequestFinished(RequestReceived, frozen=True, kw_only=True):
    """A request was answered. `duration_ms` is in milliseconds."""

    message: str = "request finished"
    status_code: int
    duration_ms: float
    user_id: str | None


class AccessDecided(Event, frozen=True, kw_only=True):
    """Access was granted or refused. `error` is the permanent code of the refusal."""

    timestamp: datetime
    service: str = "gateway"
    resource: str
    granted: bool
    error: str | None = None
    user_id: str | None = None
    correlation_id: str
