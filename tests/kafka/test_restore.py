"""An older database is restored while Kafka is ahead: docs/restore.md, played on real backends."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from govid.bus import BusSettings, Database
from govid.bus.events import AppointmentDecided, Topic
from govid.gateway.cli.commands import commands
from tests.audit_entries import AUDIT_KEY
from tests.backends import kafka, postgres
from tests.conftest import unavailable
from tests.kafka.fixtures import MODULE, KafkaFixture, a_request, by_key, header, wait_until
from tests.unit.cli.golden import PLAIN

pytestmark = pytest.mark.kafka

DEATH = b'{"identifierType":"NIN","identifierValue":"AB123456C","timestamp":"2026-01-05T14:30:00Z"}'


@pytest.fixture
def broker() -> Iterator[kafka.Broker]:
    """Return a broker of the test's own: commands know the contract's topics only."""
    try:
        with kafka.own() as broker:
            yield broker
    except kafka.Unavailable as error:
        unavailable(str(error))


@pytest.fixture
def settings(bus_settings: BusSettings, broker: kafka.Broker) -> BusSettings:
    """Return settings with the contract's own topics."""
    return msgspec.structs.replace(
        bus_settings,
        kafka_bootstrap_servers=broker.address,
        kafka_client_id=f"govid-{uuid4().hex[:8]}",
    )


@pytest.fixture
def govid(
    settings: BusSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Return what runs a command against the database and the Kafka of the test."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(
        env={
            **PLAIN,
            "GOVID_DATABASE_URL": settings.database_url,
            "GOVID_AUDIT_KEY": AUDIT_KEY,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        }
    )

    async def run(line: str) -> Result:
        return await asyncio.to_thread(runner.invoke, commands, shlex.split(line)[1:])

    return run


@asynccontextmanager
async def running(settings: BusSettings) -> AsyncIterator[KafkaFixture]:
    async with Database(settings) as database, KafkaFixture(settings, database).run() as replica:
        await replica.wait_until_healthy()
        yield replica


async def copy(server: str, source: str, target: str) -> None:
    """Make database *target* a copy of *source*; both are names, and there are no connections."""
    connection = await asyncpg.connect(server)
    await connection.execute(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)')
    await connection.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
    await connection.close()


async def test_r11_after_a_restore_kafka_is_ahead_and_the_way_back_is_known(
    settings: BusSettings, govid: Any, postgres_server: str
) -> None:
    name = make_url(settings.database_url).database or ""
    backup = f"{name}_backup"
    async with running(settings) as replica:
        await replica.emit(*(a_request(uuid4()) for _ in range(5)))
        await replica.wait_until_drained()
    await copy(postgres_server, name, backup)
    since = datetime.now(UTC)
    async with running(settings) as replica:
        await replica.emit(*(a_request(uuid4()) for _ in range(8)))
        async with replica.external_producer() as producer:
            await producer.send_and_wait(Topic.DEATH_NOTIFICATION.value, DEATH, partition=0)
        await replica.wait_until_drained()
        await wait_until(lambda: took_in(replica, 1))
    sound = await govid("govid outbox verify")
    assert sound.exit_code == 0, sound.output

    # The database is lost, and what there is of it is older than Kafka.
    await copy(postgres_server, backup, name)

    report = json.loads((await govid("govid outbox verify --json")).stdout)
    assert {one["problem"] for one in report["findings"]} == {"kafka_ahead"}
    assert sum(int(one["text"].split(": ")[1].split()[0]) for one in report["findings"]) == 8
    assert datetime.fromisoformat(report["kafka"]["ahead_since"]) > since.replace(microsecond=0)
    reported = await govid("govid outbox verify")
    assert reported.exit_code == 5
    assert "stop govid and read docs/restore.md" in reported.stdout
    assert "Kafka is ahead of this database since " in reported.stderr

    # What others sent meanwhile is taken in again, once the inbox's group is reset to before it.
    await rewind(settings, since)
    again = datetime.now(UTC)
    accepted = await govid("govid topics accept-ahead --reason 'restored from a backup' --yes")
    assert accepted.exit_code == 0, accepted.output
    async with running(settings) as replica:
        await wait_until(lambda: took_in(replica, 1))
        await replica.emit(a_request(uuid4()))
        await replica.wait_until_drained()
    behind = await govid("govid outbox verify --json")
    assert {one["problem"] for one in json.loads(behind.stdout)["findings"]} <= {
        "kafka_ahead", "record_unknown",
    }  # fmt: skip
    young = await govid(f"govid outbox verify --since {again.isoformat()}")
    assert young.exit_code == 0, young.output
    await drop(postgres_server, backup)


async def test_r11_one_deleted_event_is_brought_back_from_a_backup(
    settings: BusSettings, govid: Any, postgres_server: str
) -> None:
    name = make_url(settings.database_url).database or ""
    backup = f"{name}_backup"
    async with running(settings) as replica:
        await replica.emit(a_request(uuid4()))
        await replica.wait_until_drained()
        event_id = await replica.database.reads.fetchval("SELECT id FROM bus.event")
    await copy(postgres_server, name, backup)
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("DELETE FROM bus.event")
    await connection.close()
    found = json.loads((await govid("govid outbox verify --json")).stdout)["findings"]
    assert [(one["problem"], one["event_id"]) for one in found] == [
        ("numbers_missing", str(event_id)),
        ("event_deleted", str(event_id)),
    ]
    await bring_back(event_id, postgres.url_of(postgres_server, backup), settings.database_url)
    assert (await govid("govid outbox verify")).exit_code == 0
    await drop(postgres_server, backup)


async def test_a11_commands_publish_to_a_topic_with_more_partitions_and_one_accepts_them(
    settings: BusSettings, govid: Any
) -> None:
    async with running(settings) as replica:
        await replica.emit(a_request(uuid4()))
        await replica.wait_until_drained()
        # As if it had been seen with fewer.
        await replica.database.reads.execute(
            "UPDATE bus.topic SET partitions = 3 WHERE name = $1", Topic.VERIFICATION_REQUEST.value
        )
    replayed = await govid("govid outbox replay --subscriber kafka.relay --reason why --yes --json")
    assert json.loads(replayed.stdout)["replayed"] == 1
    listed = await govid("govid topics list")
    assert "identity.verification.request\t3\t4\tchanged\t-" in listed.stdout.splitlines()
    verified = await govid("govid outbox verify")
    assert verified.exit_code == 5
    assert verified.stdout.splitlines()[-1].startswith(
        "partitions_changed: topic identity.verification.request has 4 partitions and had 3"
    )
    accepted = await govid(
        "govid topics accept identity.verification.request --reason 'more consumers' --yes"
    )
    assert accepted.exit_code == 0
    assert accepted.stderr == (
        "identity.verification.request uses 4 partitions from now on, and used 3 before. "
        "Consumers see no order between records before the switch and after it.\n"
    )
    assert (await govid("govid outbox verify")).exit_code == 0
    again = await govid("govid topics accept identity.verification.request --reason why --yes")
    assert again.exit_code == 1


@pytest.mark.parametrize("lost", [(Topic.VERIFICATION_REQUEST,), (Topic.APPOINTMENT_RESULT,), ()])
async def test_f17_one_command_publishes_again_all_that_deleted_topics_held(
    settings: BusSettings, govid: Any, lost: tuple[Topic, ...]
) -> None:
    quick = msgspec.structs.replace(settings, topic_check_seconds=1)
    gone = lost or (Topic.VERIFICATION_REQUEST, Topic.APPOINTMENT_RESULT)
    accounts = [uuid4() for _ in range(20)]
    async with running(quick) as replica:
        for _ in range(3):
            await replica.emit(*(a_request(account) for account in accounts))
            await replica.emit(*(a_decision(account) for account in accounts))
        await replica.wait_until_drained()
        await delete(settings, gone)
        await wait_until(lambda: created_again(replica, len(gone)))
        verified = await govid("govid outbox verify")
        named = [line for line in verified.stdout.splitlines() if line.startswith("record_missing")]
        assert verified.exit_code == 5
        assert len(named) == len(gone)
        assert all("`govid outbox replay --unproved --reason '...'`" in line for line in named)
        counted = await govid("govid outbox replay --unproved --dry-run --json")
        assert json.loads(counted.stdout)["deliveries"] == 60 * len(gone)
        mended = await govid("govid outbox replay --unproved --reason 'topics deleted' --yes")
        assert mended.exit_code == 0, mended.output
        await replica.wait_until_drained()
        clean = await govid("govid outbox verify")
        assert clean.exit_code == 0, clean.output
        again = await govid("govid outbox replay --unproved --reason 'topics deleted' --yes")
        assert (again.exit_code, again.stdout) == (1, "")
        records = await replica.read(gone[0], 60)
    numbers = by_key(records, lambda one: int(header(one, "ce_sequence") or 0))
    assert numbers == {str(account): [1, 2, 3] for account in accounts}


def a_decision(account: UUID) -> AppointmentDecided:
    return AppointmentDecided(
        appointment_id=uuid4(),
        user_id=account,
        status="CONFIRMED",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )


async def delete(settings: BusSettings, topics: tuple[Topic, ...]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_topics([topic.value for topic in topics])
    await admin.close()


async def created_again(replica: KafkaFixture, count: int) -> bool:
    return replica.kafka.topics.recreated_count == count and not replica.kafka.topics.missing


async def bring_back(event_id: UUID, source: str, target: str) -> None:
    """Do what the page says with psql: copy one row."""
    old, new = await asyncpg.connect(source), await asyncpg.connect(target)
    rows = await old.fetch("SELECT * FROM bus.event WHERE id = $1", event_id)
    await new.copy_records_to_table("event", schema_name="bus", records=rows)
    await old.close()
    await new.close()


async def rewind(settings: BusSettings, moment: datetime) -> None:
    """Do what the page says with Kafka's own tool: set the inbox's group back to *moment*."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=f"{settings.kafka_client_id}.inbox",
        enable_auto_commit=False,
    )
    await consumer.start()
    places = [
        TopicPartition(settings.wire_name(topic), n)
        for topic in (Topic.VERIFICATION_RESULT, Topic.DEATH_NOTIFICATION)
        for n in range(settings.topic_partitions)
    ]
    consumer.assign(places)
    found = await consumer.offsets_for_times(dict.fromkeys(places, int(moment.timestamp() * 1000)))
    await consumer.commit({place: at.offset for place, at in found.items() if at is not None})
    await consumer.stop()


async def drop(server: str, name: str) -> None:
    await postgres.drop(server, postgres.url_of(server, name))


async def took_in(replica: KafkaFixture, count: int) -> bool:
    return await replica.count("delivery", f"subscriber = '{MODULE}'") == count
