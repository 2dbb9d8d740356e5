"""Reading topics for a person: to where they end now, and those that are not there yet."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from click.testing import CliRunner

from govid.bus.events import Topic
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topic_tail import open_tail, publish_record
from govid.gateway.cli.commands import commands
from tests.kafka.fixtures import KafkaFixture, a_request
from tests.unit.cli.golden import PLAIN


async def test_it_ends_at_the_newest_record_that_was_there(replica: KafkaFixture) -> None:
    await replica.emit(*(a_request(uuid4(), label) for label in "123"))
    await replica.wait_until_drained()
    address = replica.settings.kafka_bootstrap_servers
    full, empty = (
        replica.wire_name(Topic.VERIFICATION_REQUEST),
        replica.wire_name(Topic.VERIFICATION_RESULT),
    )
    ago = datetime.now(UTC) - timedelta(hours=1)
    async with (
        asyncio.timeout(30),
        open_tail(
            KafkaClientFactory(address), [full, empty], since=ago, from_start=False, to_end=True
        ) as records,
    ):
        await publish_record(KafkaClientFactory(address), full, "later", b"later")
        assert [record.topic async for record in records] == [full] * 3


async def test_a_topic_that_does_not_exist_is_reported_and_followed_once_it_does(
    kafka_address: str, replica: KafkaFixture
) -> None:
    topic, later = replica.wire_name(Topic.VERIFICATION_REQUEST), f"later-{uuid4()}"
    await replica.emit(a_request(uuid4(), "before"))
    await replica.wait_until_drained()
    absent: list[str] = []
    async with (
        asyncio.timeout(60),
        open_tail(
            KafkaClientFactory(kafka_address),
            [topic, later],
            since=None,
            from_start=False,
            on_missing=absent.extend,
        ) as records,
    ):
        assert absent == [later]
        await publish_record(KafkaClientFactory(kafka_address), topic, None, b"first")
        assert (await anext(records)).value == b"first"
        await created(kafka_address, later)
        await publish_record(KafkaClientFactory(kafka_address), later, None, b"second")
        assert (await anext(records)).value == b"second"
        # Who was followed before goes on where it was.
        await publish_record(KafkaClientFactory(kafka_address), topic, None, b"third")
        assert (await anext(records)).value == b"third"


async def test_where_no_topic_exists_the_end_is_at_once(kafka_address: str) -> None:
    absent: list[str] = []
    name = f"never-{uuid4()}"
    async with (
        asyncio.timeout(30),
        open_tail(
            KafkaClientFactory(kafka_address),
            [name],
            since=None,
            from_start=True,
            to_end=True,
            on_missing=absent.extend,
        ) as records,
    ):
        assert [record async for record in records] == []
    assert absent == [name]


async def created(address: str, topic: str) -> None:
    """Make *topic*, with two partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 2, 1)])
    finally:
        await admin.close()


async def test_the_command_says_what_is_not_there_and_what_would_make_it(
    kafka_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"never-{uuid4()}"
    env = {
        **PLAIN,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": kafka_address,
        "GOVID_VERIFICATION_REQUEST_TOPIC": name,
    }
    words = f"events tail --topic {Topic.VERIFICATION_REQUEST} --since 1h --no-follow".split()
    result = await asyncio.to_thread(CliRunner(env=env).invoke, commands, words)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"Kafka has no topic {name}. A server creates its topics ")
