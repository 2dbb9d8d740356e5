"""Several installations on one cluster: each has a topic prefix and a database of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple
from uuid import uuid4

import msgspec
import pytest

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from tests.backends import postgres
from tests.kafka.conftest import on
from tests.kafka.fixtures import KafkaFixture, header, wait_until
from tests.kafka.test_inbox import NOTICE, encoded
from tests.kafka.test_inbox import publish as publish_from_outside
from tests.kafka.test_inbox import stored as fetch_received
from tests.kafka.test_verify_kafka import prove, publish

pytestmark = pytest.mark.kafka


class Neighbours(NamedTuple):
    """Settings of two installations with the same cluster and different databases."""

    first: BusSettings
    second: BusSettings


@pytest.fixture
async def neighbours(
    kafka_settings: BusSettings, kafka_address: str, postgres_server: str, template: str
) -> AsyncIterator[Neighbours]:
    url = await postgres.clone(postgres_server, template)
    other = msgspec.structs.replace(kafka_settings, database_url=url)
    yield Neighbours(kafka_settings, on(kafka_address, other))
    await postgres.drop(postgres_server, url)


async def run(stack: AsyncExitStack, settings: BusSettings) -> KafkaFixture:
    """Run a replica with *settings* until *stack* is closed."""
    database = await stack.enter_async_context(Database(settings))
    replica = await stack.enter_async_context(KafkaFixture(settings, database).run())
    await replica.wait_until_healthy()
    return replica


async def test_a13_installations_with_a_prefix_each_do_not_notice_each_other(
    neighbours: Neighbours,
) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await run(stack, settings) for settings in neighbours]
        for replica in replicas:
            await publish(replica, 3)
        records = [await one.read(Topic.VERIFICATION_REQUEST, 3) for one in replicas]
        notice = [(encoded({**NOTICE}), [("correlation_id", b"for-the-first")])]
        await publish_from_outside(replicas[0], Topic.DEATH_NOTIFICATION, *notice)
        # By its own mark the second installation shows that it has read everything it will read.
        await publish_from_outside(replicas[1], Topic.DEATH_NOTIFICATION)
        received = [[one["c"] for one in await fetch_received(replica)] for replica in replicas]
        proofs = [await prove(replica) for replica in replicas]
    marks = [{header(one, "ce_installation") for one in some} for some in records]
    assert [len(some) for some in marks] == [1, 1]
    assert marks[0] != marks[1]
    assert [some.count("for-the-first") for some in received] == [1, 0]
    assert [(found, result.proved) for found, result in proofs] == [([], 3), ([], 3)]


async def test_a13_installations_that_share_their_topics_are_told(neighbours: Neighbours) -> None:
    shared = {"kafka_prefix": neighbours.first.kafka_prefix, "kafka_client_id": uuid4().hex}
    second = msgspec.structs.replace(neighbours.second, **shared)
    async with AsyncExitStack() as stack:
        first_replica = await run(stack, neighbours.first)
        second_replica = await run(stack, second)
        for replica in (first_replica, second_replica):
            await publish(replica, 1)

        async def is_named() -> bool:
            found = [await prove(replica) for replica in (first_replica, second_replica)]
            return [one.problem for some, _ in found for one in some] == ["foreign_producer"] * 2

        await wait_until(is_named)
        ((finding,), _) = await prove(first_replica)
        installation = await second_replica.database.reads.fetchval(
            "SELECT id FROM bus.installation"
        )
    assert f"are of another installation of govid ({installation})" in finding.text
    assert "GOVID_KAFKA_PREFIX" in finding.remedy
