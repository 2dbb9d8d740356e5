"""Every failure of a Kafka client is one outage; other errors are not."""

import pytest
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from govid.bus.kafka.client_lifecycle import translate_client_errors
from govid.bus.shared.errors import Outage


@pytest.mark.parametrize(
    "error",
    [KafkaConnectionError(), OffsetOutOfRangeError(), ConnectionResetError(), TimeoutError()],
)
def test_a_failure_of_kafka_is_an_outage(error: Exception) -> None:
    with pytest.raises(Outage) as raised, translate_client_errors():
        raise error
    assert raised.value.__cause__ is error


def test_an_error_of_the_code_is_no_outage() -> None:
    with pytest.raises(ValueError, match="ours"), translate_client_errors():
        raise ValueError("ours")
