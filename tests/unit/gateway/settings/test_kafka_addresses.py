"""Where Kafka is said to be, and why nothing answers there."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from govid.gateway.checks.kafka import check_kafka
from govid.gateway.settings import SettingsError, load_from_environment
from govid.gateway.settings.kafka_addresses import (
    KafkaAddress,
    describe_unreachable,
    explain_unreachable,
    parse_addresses,
)

HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
NO_LENGTH = b"\x00\x00\x00\x02\x00\x00"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Yield the address of a server that says *answer* to each client, and hangs up."""

    class Answer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(answer)
            transport.close()

    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


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


async def test_f11_each_address_has_its_own_reason() -> None:
    port = unused_port()
    assert await explain_unreachable(f"127.0.0.1:{port}, kafka.invalid:9092,[::1]:1") == (
        f"127.0.0.1:{port} (connection refused), kafka.invalid:9092 (its name is not known), "
        "[::1]:1 (connection refused)"
    )


async def test_f11_one_address_that_answers_is_enough() -> None:
    async with answering(b"") as address:
        assert await explain_unreachable(f"127.0.0.1:{unused_port()},{address}") is None


async def test_f11_silence_after_the_connection_is_distinguished() -> None:
    async with answering(b"") as address:
        assert await describe_unreachable(address) == (
            f"what listens at {address} does not answer as Kafka does"
        )


@pytest.mark.parametrize("answer", [b"", HTTP, NO_LENGTH], ids=["hangs up", "http", "nonsense"])
async def test_f11_check_warns_of_what_is_no_kafka(answer: bytes) -> None:
    async with answering(answer) as address:
        settings = load_from_environment({"GOVID_KAFKA_BOOTSTRAP_SERVERS": address}, env_file=None)
        found = await check_kafka(settings)
    (warning,) = found.warnings
    assert warning == (
        f"what listens at {address} does not answer as Kafka does: events wait, and no topic was "
        "checked"
    )


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "kafka.invalid:9092", "[::1]:1,127.0.0.1:1"])
async def test_f11_check_warns_where_nothing_answers(servers: str) -> None:
    settings = load_from_environment({"GOVID_KAFKA_BOOTSTRAP_SERVERS": servers}, env_file=None)
    found = await check_kafka(settings)
    why = await explain_unreachable(servers)
    (warning,) = found.warnings
    assert warning == f"no Kafka answers at {why}: events wait, and no topic was checked"
