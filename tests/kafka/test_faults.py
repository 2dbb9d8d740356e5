"""Each error of Kafka has one answer."""

import pytest
from aiokafka import errors

from govid.bus.kafka.faults import Fault, classify


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.KafkaConnectionError(), Fault.OUTAGE),
        (errors.NotLeaderForPartitionError(), Fault.OUTAGE),
        (errors.LeaderNotAvailableError(), Fault.OUTAGE),
        (errors.NotEnoughReplicasError(), Fault.OUTAGE),
        (errors.ProducerClosed(), Fault.OUTAGE),
        (TimeoutError(), Fault.OUTAGE),
        (errors.UnknownTopicOrPartitionError(), Fault.CONFIGURATION),
        (errors.TopicAuthorizationFailedError("t"), Fault.CONFIGURATION),
        (AssertionError("Unrecognized partition"), Fault.CONFIGURATION),
        (errors.MessageSizeTooLargeError(), Fault.POISON),
        (errors.CorruptRecordException(), Fault.POISON),
        (errors.OutOfOrderSequenceNumber(), Fault.FATAL),
        (errors.ProducerFenced(), Fault.FATAL),
        (errors.UnknownProducerId(), Fault.FATAL),
        (errors.UnknownError(), Fault.FATAL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.value,
)
def test_an_error_is_classified(error: BaseException, fault: Fault) -> None:
    assert classify(error) is fault
