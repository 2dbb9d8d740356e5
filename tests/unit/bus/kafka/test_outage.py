"""Why Kafka cannot be used, where nothing answers or something else does."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.outage import CONNECT_SECONDS, explain_outage
from govid.bus.settings import KafkaSecurity
from govid.gateway.checks.kafka import check_kafka
from govid.gateway.settings import load_from_environment

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


@asynccontextmanager
async def silent(seconds: float) -> AsyncIterator[str]:
    """Yield the address of a server that hangs up *seconds* after the first bytes of a client."""
    transports: list[asyncio.Transport] = []

    class Silence(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transports.append(transport)

        def data_received(self, _: bytes) -> None:
            asyncio.get_running_loop().call_later(seconds, transports[-1].close)

    server = await asyncio.get_running_loop().create_server(Silence, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())
        for transport in transports:
            transport.abort()


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_f11_each_address_has_its_own_reason() -> None:
    port = unused_port()
    assert await explain_outage(
        KafkaClientFactory(f"127.0.0.1:{port}, kafka.invalid:9092,[::1]:1")
    ) == (
        f"127.0.0.1:{port} (connection refused), kafka.invalid:9092 (its name is not known), "
        "[::1]:1 (connection refused)"
    )


@pytest.mark.parametrize("answer", [b"", HTTP, NO_LENGTH], ids=["hangs up", "http", "nonsense"])
async def test_f11_check_warns_of_what_is_no_kafka(answer: bytes) -> None:
    async with answering(answer) as address:
        settings = load_from_environment({"GOVID_KAFKA_BOOTSTRAP_SERVERS": address}, env_file=None)
        found = await check_kafka(settings)
    (warning,) = found.warnings
    assert warning == (
        f"no Kafka answers at {address} (it does not answer as Kafka does with "
        "GOVID_KAFKA_SECURITY_PROTOCOL=PLAINTEXT): events wait, and no topic was checked"
    )


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "kafka.invalid:9092", "[::1]:1,127.0.0.1:1"])
async def test_f11_check_warns_where_nothing_answers(servers: str) -> None:
    settings = load_from_environment({"GOVID_KAFKA_BOOTSTRAP_SERVERS": servers}, env_file=None)
    found = await check_kafka(settings)
    why = await explain_outage(KafkaClientFactory(servers))
    (warning,) = found.warnings
    assert warning == f"no Kafka answers at {why}: events wait, and no topic was checked"


async def test_a_slow_broker_has_longer_than_its_connection_to_be_opened() -> None:
    async with silent(CONNECT_SECONDS + 0.5) as address:
        # It was waited for: the reason is what it then did, not the limit of the opening.
        assert await explain_outage(KafkaClientFactory(address)) == (
            f"{address} (it does not answer as Kafka does with "
            "GOVID_KAFKA_SECURITY_PROTOCOL=PLAINTEXT)"
        )


async def test_the_limit_that_a_silent_broker_has_exceeded_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("govid.bus.kafka.outage.ANSWER_SECONDS", 2.0)
    async with silent(5) as address:
        assert await explain_outage(KafkaClientFactory(address)) == (
            f"{address} (no answer within 2 s)"
        )


async def test_a_connection_that_is_not_opened_in_time_is_named() -> None:
    async with silent(5) as address:
        # The handshake of TLS is a part of the opening.
        clients = KafkaClientFactory(address, KafkaSecurity(protocol="SSL"))
        assert await explain_outage(clients) == f"{address} (no connection within 1 s)"
