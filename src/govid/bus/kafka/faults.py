"""Classifies errors of Kafka by what they mean for the batch that was sent."""

from enum import StrEnum

from aiokafka import errors


class KafkaErrorClass(StrEnum):
    """Error classes. Each has one reaction; only `POISON` is caused by the record itself."""

    OUTAGE = "outage"
    """Kafka is unavailable, or the result is unknown: send again, without a limit of attempts."""
    CONFIGURATION = "configuration"
    """The topic cannot be written to at present: pause it and serve the others."""
    POISON = "poison"
    """Kafka refuses the record permanently."""
    FATAL = "fatal"
    """The producer is unusable: replace it."""


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
    # aiokafka asserts that the topic has the partition.
    AssertionError,
)
_OUTAGE = (errors.ProducerClosed, errors.KafkaTimeoutError, TimeoutError, OSError)


def classify_error(error: BaseException) -> KafkaErrorClass:
    """Return the class of *error*, which was raised for a batch of records."""
    if isinstance(error, _POISON):
        return KafkaErrorClass.POISON
    if isinstance(error, _CONFIGURATION):
        return KafkaErrorClass.CONFIGURATION
    if isinstance(error, _OUTAGE) or getattr(error, "retriable", False):
        return KafkaErrorClass.OUTAGE
    return KafkaErrorClass.FATAL
