"""`govid outbox status` says that nothing is sent because no Kafka answers."""

import socket

import pytest
from confluent_kafka import Producer

from govid.bus.operations.inspection import SubscriberStatus
from govid.gateway.cli.outbox import inspection
from govid.gateway.cli.target import Installation
from govid.gateway.settings import load_from_environment


def installation(servers: str) -> Installation:
    return Installation(
        settings=load_from_environment(env_file=None),
        running=None,
        database_url="",
        kafka_bootstrap_servers=servers,
    )


def waiting(subscriber: str, pending: int, oldest_seconds: float | None) -> SubscriberStatus:
    return SubscriberStatus(
        subscriber=subscriber,
        pending=pending,
        oldest_seconds=oldest_seconds,
        waiting_keys=0,
        parked_keys=0,
        dead=0,
    )


@pytest.mark.parametrize(
    ("servers", "sentence"),
    [
        ("127.0.0.1:1", "no Kafka answers at 127.0.0.1:1 (connection refused)."),
        (
            "kafka.invalid:9092,127.0.0.1:1",
            (
                "no Kafka answers at kafka.invalid:9092 (its name is not known), 127.0.0.1:1 "
                "(connection refused)."
            ),
        ),
        ("", "no Kafka is configured."),
    ],
)
async def test_f10_an_old_event_names_the_kafka_that_is_silent(
    capsys: pytest.CaptureFixture[str], servers: str, sentence: str
) -> None:
    found = [waiting("kafka.relay", 1, 67.2), waiting("nhs.verification", 3, 900.0)]
    assert await inspection._report_kafka_outage(installation(servers), found)
    reported = capsys.readouterr().err
    assert reported.startswith(f"kafka.relay has not sent its oldest event for 67 s: {sentence}")
    assert "GOVID_KAFKA_BOOTSTRAP_SERVERS" in reported


@pytest.mark.parametrize(
    "found",
    [
        [],
        [waiting("kafka.relay", 0, None)],
        [waiting("kafka.relay", 4, 0.3)],
        [waiting("kafka.relay", 0, None), waiting("nhs.verification", 3, 900.0)],
    ],
)
async def test_f10_a_relay_that_is_not_late_asks_no_kafka(
    capsys: pytest.CaptureFixture[str], found: list[SubscriberStatus]
) -> None:
    assert not await inspection._report_kafka_outage(installation("127.0.0.1:1"), found)
    assert capsys.readouterr().err == ""


async def test_f10_nothing_is_reported_about_a_kafka_that_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Its in-memory cluster lives as long as it does.
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    broker, *_ = owner.list_topics(timeout=5).brokers.values()
    servers = f"{broker.host}:{broker.port}"
    assert not await inspection._report_kafka_outage(
        installation(servers), [waiting("kafka.relay", 1, 67.2)]
    )
    assert capsys.readouterr().err == ""


async def test_f10_a_server_that_is_no_kafka_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        servers = f"127.0.0.1:{listener.getsockname()[1]}"
        assert await inspection._report_kafka_outage(
            installation(servers), [waiting("kafka.relay", 1, 67.2)]
        )
    assert f"no Kafka answers at {servers} (no answer within 6 s)" in capsys.readouterr().err
