"""The addresses of Kafka in the settings."""

import pytest

from govid.bus.kafka.addresses import KafkaAddress, parse_addresses
from govid.gateway.settings import SettingsError, load_from_environment


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("kafka.internal:9092", KafkaAddress("kafka.internal", 9092)),
        (" kafka-1:19092 ", KafkaAddress("kafka-1", 19092)),
        ("kafka", KafkaAddress("kafka", 9092)),
        ("[2001:db8::1]:9093", KafkaAddress("2001:db8::1", 9093)),
        ("[::1]", KafkaAddress("::1", 9092)),
        ("kafka:65535", KafkaAddress("kafka", 65535)),
    ],
)
def test_f11_addresses_are_read_as_the_client_reads_them(text: str, address: KafkaAddress) -> None:
    assert parse_addresses(f"{text},second") == [address, KafkaAddress("second", 9092)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":9092",
        "kafka:",
        "kafka:0",
        "kafka:65536",
        "kafka:٩٠٩٢",
        "kafka:http",
        "http://kafka:9092",
        "SASL_SSL://kafka:9092",
        "kafka 9092",
        "kafka:9092;kafka2:9092",
        "2001:db8::1:9092",
        "user@kafka:9092",
    ],
)
def test_f11_what_is_no_address_is_refused_by_every_command(text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_from_environment(
            {"GOVID_KAFKA_BOOTSTRAP_SERVERS": f"kafka:9092,{text}"}, env_file=None
        )
    (fault,) = raised.value.problems
    assert fault == (
        "GOVID_KAFKA_BOOTSTRAP_SERVERS (command line): a Kafka server is written like "
        "kafka.example:9092 or [2001:db8::1]:9092"
    )
