"""What an error of Kafka means for the records that it met."""

from enum import StrEnum

from aiokafka import errors


class Fault(StrEnum):
    """The classes of errors; each has one answer, and only poison is the record's own fault."""

    OUTAGE = "outage"
    """Kafka is away, or nobody knows: send again, for as long as it takes."""
    CONFIGURATION = "configuration"
    """This topic may not be written to as things are: let it rest, serve the others."""
    POISON = "poison"
    """Kafka refuses the record, and always will."""
    FATAL = "fatal"
    """This producer is finished; the next one will do better."""


_POISON = (
    errors.MessageSizeTooLargeError,
    errors.RecordTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTimestampError,
    errors.CorruptRecordException,
)
_CONFIGURATION = (
    errors.TopicAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.UnknownTopicOrPartitionError,
    errors.InvalidTopicError,
    errors.PolicyViolationError,
    errors.UnsupportedForMessageFormatError,
    # The client asserts that the topic has the partition.
    AssertionError,
)
_OUTAGE = (errors.ProducerClosed, errors.KafkaTimeoutError, TimeoutError, OSError)


def classify(error: BaseException) -> Fault:
    """Return what *error*, raised for a batch of records, means."""
    if isinstance(error, _POISON):
        return Fault.POISON
    if isinstance(error, _CONFIGURATION):
        return Fault.CONFIGURATION
    if isinstance(error, _OUTAGE) or getattr(error, "retriable", False):
        return Fault.OUTAGE
    return Fault.FATAL
