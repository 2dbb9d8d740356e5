"""The least ACLs, on a broker that denies everything else."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from aiokafka import TopicPartition
from confluent_kafka.admin import AclBinding, ResourceType

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.permissions import find_missing_permissions
from govid.gateway.checks.kafka import check_kafka
from govid.gateway.settings import load_from_environment
from tests.backends import kafka_jars
from tests.backends.kafka_secured import PASSWORD, USER, SecuredBroker, acl_entry, secured
from tests.conftest import unavailable
from tests.kafka.conftest import on
from tests.kafka.fixtures import KafkaFixture, a_request, wait_until

pytestmark = pytest.mark.kafka

ACLS = Path(__file__).parents[2] / "deploy" / "kafka-acls.txt"
ENTRIES = [line for line in ACLS.read_text().splitlines() if line.startswith("--")]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """Return a broker that denies what no ACL allows."""
    if why_not := kafka_jars.missing():
        unavailable(f"no secured Kafka: {why_not}")
    with secured(tmp_path_factory.mktemp("broker"), open_to_all=False) as started:
        yield started


@pytest.fixture
def settings(broker: SecuredBroker, bus_settings: BusSettings) -> BusSettings:
    """Return settings of a bus with topics of its own."""
    return msgspec.structs.replace(
        on(broker.address, bus_settings), kafka_security=broker.security()
    )


def binding(entry: str, prefix: str) -> AclBinding:
    """Return the ACL of a line of the file, for an installation with *prefix*."""
    resource, name, _, operation = entry.split()
    number = {"DescribeConfigs": "DESCRIBE_CONFIGS"}.get(operation, operation.upper())
    kind = ResourceType[resource.removeprefix("--").upper()]
    return acl_entry(kind, f"{prefix}{name}", number)


def allow(broker: SecuredBroker, prefix: str, entries: list[str]) -> None:
    broker.grant(*(binding(one, prefix) for one in entries))


def named(entry: str, prefix: str) -> str:
    """Return *entry* as govid names it for an installation with *prefix*."""
    option, name, rest = entry.split(" ", 2)
    return f"{option} {prefix}{name} {rest}"


async def test_the_file_is_enough_and_no_entry_can_be_missed(
    broker: SecuredBroker, settings: BusSettings
) -> None:
    prefix = settings.kafka_prefix
    allow(broker, prefix, ENTRIES)
    clients = KafkaClientFactory.from_settings(settings)
    async with Database(settings) as database, KafkaFixture(settings, database).run() as replica:
        await replica.wait_until_healthy()
        await replica.emit(a_request(uuid4()))
        await replica.wait_until_drained()
        await publish_unreadable_notice(broker, replica)
        await wait_until(lambda: has_dead_letter(broker, replica))

        async def is_complete() -> bool:
            return await find_missing_permissions(settings, clients) == []

        await wait_until(is_complete)
        for entry in ENTRIES:
            broker.revoke(binding(entry, prefix))
            expected = [named(entry, prefix)]

            async def is_named(expected: list[str] = expected) -> bool:
                return [
                    str(one) for one in await find_missing_permissions(settings, clients)
                ] == expected

            await wait_until(is_named)
            allow(broker, prefix, [entry])
            await wait_until(is_complete)


async def publish_unreadable_notice(broker: SecuredBroker, replica: KafkaFixture) -> None:
    """Publish what the inbox copies to the dead-letter topic; govid itself may not write there."""
    producer = KafkaClientFactory(broker.admin_address).create_producer()
    await producer.start()
    try:
        await producer.send_and_wait(
            replica.wire_name(Topic.DEATH_NOTIFICATION), b"no notice", key=b"k"
        )
    finally:
        await producer.stop()


async def has_dead_letter(broker: SecuredBroker, replica: KafkaFixture) -> bool:
    consumer = KafkaClientFactory(broker.admin_address).create_consumer()
    await consumer.start()
    try:
        name = f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq"
        partitions = [TopicPartition(name, number) for number in range(4)]
        return sum((await consumer.end_offsets(partitions)).values()) == 1
    finally:
        await consumer.stop()


async def test_check_names_what_the_acls_do_not_allow(
    broker: SecuredBroker, settings: BusSettings
) -> None:
    prefix = settings.kafka_prefix
    kept = [entry for entry in ENTRIES if "hmrc.death.notification --operation Read" not in entry]
    allow(broker, prefix, kept)
    topic = f"{prefix}hmrc.death.notification"
    async with Database(settings) as database, KafkaFixture(settings, database).run() as replica:
        await replica.wait_until_healthy()
    found = await check_kafka(
        load_from_environment(
            {
                "GOVID_KAFKA_BOOTSTRAP_SERVERS": broker.address,
                "GOVID_KAFKA_PREFIX": prefix,
                "GOVID_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "GOVID_KAFKA_SSL_CA_FILE": str(broker.certificates.authority),
                "GOVID_KAFKA_SASL_USERNAME": USER,
                "GOVID_KAFKA_SASL_PASSWORD": PASSWORD,
            },
            env_file=None,
        )
    )
    assert found.warnings[0] == (
        "Kafka's ACLs do not allow govid everything that it needs (deploy/kafka-acls.txt): "
        f"--topic {topic} --operation Read"
    )


async def test_an_acl_that_was_revoked_needs_no_restart_once_it_is_back(
    broker: SecuredBroker, settings: BusSettings
) -> None:
    prefix = settings.kafka_prefix
    allow(broker, prefix, ENTRIES)
    read = "--topic hmrc.death.notification --operation Read"
    write = "--topic identity.verification.request --operation Write"
    settings = msgspec.structs.replace(settings, topic_check_seconds=1)
    async with Database(settings) as database, KafkaFixture(settings, database).run() as replica:
        await replica.wait_until_healthy()
        for entry in (read, write):
            broker.revoke(binding(entry, prefix))
        await replica.emit(a_request(uuid4()))
        await publish_unreadable_notice(broker, replica)

        topic = replica.wire_name(Topic.DEATH_NOTIFICATION)
        await wait_until(lambda: is_reported(replica, topic))
        # Nothing was lost, no attempt was spent, and nothing is parked: it waits for the ACLs.
        assert await replica.count("parked") == 0
        assert await replica.count("dead") == 0
        allow(broker, prefix, [read, write])
        await replica.wait_until_drained()
        await wait_until(lambda: has_dead_letter(broker, replica))
        await wait_until(lambda: replica.holds("inbound_fault", 0))


async def is_reported(replica: KafkaFixture, topic: str) -> bool:
    """Tell whether health shows that *topic* cannot be read.

    A broker refuses the fetch, or no longer shows the topic at all.
    """
    stopped = await replica.count("inbound_fault", "reason = 'TopicAuthorizationFailedError'")
    return stopped > 0 or topic in replica.kafka.topics.missing
