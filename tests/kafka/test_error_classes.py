"""Each error of Kafka has one error class."""

import pytest
from aiokafka import errors

from govid.bus.kafka.batches import KafkaErrorClass, classify_error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.KafkaConnectionError(), KafkaErrorClass.OUTAGE),
        (errors.NotLeaderForPartitionError(), KafkaErrorClass.OUTAGE),
        (errors.LeaderNotAvailableError(), KafkaErrorClass.OUTAGE),
        (errors.NotEnoughReplicasError(), KafkaErrorClass.OUTAGE),
        (errors.ProducerClosed(), KafkaErrorClass.OUTAGE),
        (TimeoutError(), KafkaErrorClass.OUTAGE),
        (errors.UnknownTopicOrPartitionError(), KafkaErrorClass.CONFIGURATION),
        (errors.TopicAuthorizationFailedError("t"), KafkaErrorClass.CONFIGURATION),
        (AssertionError("Unrecognized partition"), KafkaErrorClass.CONFIGURATION),
        (errors.MessageSizeTooLargeError(), KafkaErrorClass.POISON),
        (errors.CorruptRecordException(), KafkaErrorClass.POISON),
        (errors.OutOfOrderSequenceNumber(), KafkaErrorClass.FATAL),
        (errors.ProducerFenced(), KafkaErrorClass.FATAL),
        (errors.UnknownProducerId(), KafkaErrorClass.FATAL),
        (errors.UnknownError(), KafkaErrorClass.FATAL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.value,
)
def test_an_error_is_classified(error: BaseException, fault: KafkaErrorClass) -> None:
    assert classify_error(error) is fault
