"""Performs the faults of a plan. Each ends by itself, and leaves nothing broken behind."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import asyncpg
import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ResourceType
from sqlalchemy import make_url

from govid.bus import BusSettings
from govid.bus.kafka.permissions import AclOperation, required_topic_operations
from tests.backends import kafka
from tests.backends.certificates import CertificateAuthority
from tests.backends.kafka_secured import SecuredBroker, acl_entry
from tests.chaos.databases import FailoverPair
from tests.chaos.external_publisher import CODECS, ExternalPublisher
from tests.chaos.plan import ACCOUNTS, REPLICAS, Fault, Kind
from tests.chaos.proxy import Proxy, Way
from tests.chaos.reader import Record, remove
from tests.chaos.replicas import Replica
from tests.chaos.writers import Writers

TERMINATE = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE $1
"""
SESSIONS = ("govid%", "govid", "govid leases", "govid wake")
"""Whose connections are terminated: everybody's, or those of one purpose."""
READ_ONLY = """
    DO $$ BEGIN
        EXECUTE format(
            'ALTER DATABASE %I SET default_transaction_read_only = on', current_database()
        );
    END $$
"""
READ_WRITE = """
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database());
    END $$
"""
STOP_MODES = ("immediate", "fast")
"""How a primary ends that is failed over: it crashes, or it sends its standby all it has first."""
RETRY_SECONDS = 0.2
DELETION_SECONDS = 3
HOLES = ((Way.UP,), (Way.DOWN,), (Way.UP, Way.DOWN))


class FaultTargets(msgspec.Struct, frozen=True, kw_only=True):
    """Who can be hit."""

    database_url: str
    """Past all proxies, as a superuser."""
    replicas: Sequence[Replica]
    to_database: Sequence[Proxy]
    """Each replica's way to the database, and last the writers'."""
    to_kafka: Proxy
    secured: SecuredBroker
    settings: BusSettings
    """Those of the replicas; only the URL of the database leads past all proxies."""
    writers: Writers
    external_publisher: ExternalPublisher
    pair: FailoverPair | None
    """Where the database is, if it is to fail over."""
    published: Sequence[str]
    """The topics that may be deleted."""
    removed: dict[tuple[str, int, int], Record]
    """The notices that Kafka was asked to remove, by topic, partition and offset."""

    @property
    def broker(self) -> kafka.Broker:
        """The process of Kafka, and its addresses without TLS."""
        return self.secured.broker


async def inject_fault(cast: FaultTargets, fault: Fault) -> None:
    """Wait until it is time, and do it."""
    await asyncio.sleep(fault.at)
    act = ACTS.get(fault.kind)
    if act is not None:
        # A fault may hit the connection of another one.
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await act(cast, fault)


async def _kill(cast: FaultTargets, fault: Fault) -> None:
    _victim(cast, fault).signal(signal.SIGKILL)


async def _freeze(cast: FaultTargets, fault: Fault) -> None:
    victim = _victim(cast, fault)
    victim.signal(signal.SIGSTOP)
    await asyncio.sleep(fault.seconds)
    victim.signal(signal.SIGCONT)


async def _starve(cast: FaultTargets, fault: Fault) -> None:
    _victim(cast, fault).signal(signal.SIGUSR1)


async def _terminate(cast: FaultTargets, fault: Fault) -> None:
    await _directly(cast, TERMINATE, SESSIONS[fault.number % len(SESSIONS)])


async def _commit_late(cast: FaultTargets, fault: Fault) -> None:
    await cast.writers.write_late(
        fault.number % ACCOUNTS, fault.seconds, give_up=fault.number % 3 == 0
    )


async def _write_elsewhere(cast: FaultTargets, fault: Fault) -> None:
    connection = await asyncpg.connect(cast.database_url)
    try:
        await connection.execute("BEGIN")
        await connection.execute("INSERT INTO chaos.elsewhere VALUES (1)")
        await connection.execute("LOCK TABLE chaos.elsewhere IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(2 * fault.seconds)
        await connection.execute("COMMIT" if fault.number % 2 else "ROLLBACK")
    finally:
        await connection.close()


async def _turn_read_only(cast: FaultTargets, fault: Fault) -> None:
    try:
        await _directly(cast, READ_ONLY)
        await _directly(cast, TERMINATE, SESSIONS[0])
        await asyncio.sleep(fault.seconds)
    finally:
        # A fail-over may break a connection above when the standby has the setting already.
        await _persistently(cast, READ_WRITE)
    # Sessions of that time stay read-only, and one time in two they are left as they are.
    if fault.number % 2:
        await _directly(cast, TERMINATE, SESSIONS[0])


async def _fail_over(cast: FaultTargets, fault: Fault) -> None:
    if cast.pair is None:
        raise RuntimeError("a run with a fail-over has a pair of servers")
    mode = STOP_MODES[fault.number % len(STOP_MODES)]
    await asyncio.to_thread(cast.pair.fail_over, mode)


async def _compress(cast: FaultTargets, fault: Fault) -> None:
    cast.external_publisher.codec = CODECS[fault.number % len(CODECS)]


async def _damage(cast: FaultTargets, fault: Fault) -> None:
    cast.to_kafka.damage_over = 0
    await asyncio.sleep(fault.seconds)
    cast.to_kafka.damage_over = None


async def _delete_topic(cast: FaultTargets, fault: Fault) -> None:
    topic = cast.published[fault.number % len(cast.published)]
    await asyncio.to_thread(_delete, cast.broker.address, topic)


def _delete(address: str, topic: str) -> None:
    """Delete *topic*, as soon as the broker is there."""
    client = AdminClient({"bootstrap.servers": address, "log_level": 0})
    while True:
        try:
            client.delete_topics([topic], request_timeout=DELETION_SECONDS)[topic].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return  # An earlier request did it, and its answer was lost.
            time.sleep(RETRY_SECONDS)
        else:
            return


async def _remove_records(cast: FaultTargets, fault: Fault) -> None:
    cast.to_kafka.refuse()
    await asyncio.sleep(fault.seconds)
    try:
        await asyncio.to_thread(_remove, cast)
    finally:
        await cast.to_kafka.admit()


def _remove(cast: FaultTargets) -> None:
    """Remove all notices that Kafka has, as soon as the broker is there."""
    while True:
        try:
            remove(cast.broker.address, cast.external_publisher.topic, cast.removed)
        except (KafkaException, RuntimeError):
            time.sleep(RETRY_SECONDS)
        else:
            return


async def _revoke_acl(cast: FaultTargets, fault: Fault) -> None:
    """Take one operation away from govid for a while."""
    operations = [
        (topic, operation.name)
        for topic, needed in required_topic_operations(cast.settings).items()
        for operation in needed
        if operation in {AclOperation.READ, AclOperation.WRITE}
    ]
    topic, operation = operations[fault.number % len(operations)]
    acl = acl_entry(ResourceType.TOPIC, topic, operation)
    await _until_done(partial(cast.secured.revoke, acl))
    await asyncio.sleep(fault.seconds)
    await _until_done(partial(cast.secured.grant, acl))


async def _replace_kafka_certificates(cast: FaultTargets, fault: Fault) -> None:
    file = cast.settings.kafka_security.ca_file
    if file is None:
        raise RuntimeError("a run with certificates uses TLS")
    await _replace_authorities(file, [cast.to_kafka], fault)


async def _replace_database_certificates(cast: FaultTargets, fault: Fault) -> None:
    file = make_url(cast.settings.database_url).query["sslrootcert"]
    await _replace_authorities(Path(str(file)), cast.to_database, fault)


async def _replace_authorities(file: Path, ways: Sequence[Proxy], fault: Fault) -> None:
    """Let *file* be cut off for a while, and then be a longer one."""
    content = _cut_off(file)
    # New connections use what was loaded before, or fail; a replica that starts now cannot load it.
    for way in ways:
        way.drop()
    await asyncio.sleep(fault.seconds)
    successor = CertificateAuthority(f"successor {fault.number}")
    await asyncio.to_thread(file.write_bytes, successor.pem + content)
    for way in ways:
        way.drop()


def _cut_off(file: Path) -> bytes:
    """Leave half of *file*; return what was in it."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    return content


async def _until_done(act: Callable[[], None]) -> None:
    """Repeat *act* until the broker, which another fault may hit, has done it."""
    while True:
        with suppress(KafkaException, TimeoutError):
            await asyncio.to_thread(act)
            return
        await asyncio.sleep(RETRY_SECONDS)


async def _drop(ways: Sequence[Proxy], _fault: Fault) -> None:
    for way in ways:
        way.drop()


async def _refuse(ways: Sequence[Proxy], fault: Fault) -> None:
    for way in ways:
        way.refuse()
    await asyncio.sleep(fault.seconds)
    for way in ways:
        await way.admit()


async def _delay(ways: Sequence[Proxy], fault: Fault) -> None:
    for way in ways:
        way.delay_seconds = 0.005 + fault.number % 100 / 1000
    await asyncio.sleep(fault.seconds)
    for way in ways:
        way.delay_seconds = 0


async def _cut(ways: Sequence[Proxy], fault: Fault) -> None:
    for way in ways:
        way.cut_after(fault.number % 3000)
    await asyncio.sleep(fault.seconds)
    for way in ways:
        way.cut_after(None)


async def _swallow(ways: Sequence[Proxy], fault: Fault) -> None:
    for way in ways:
        way.swallow(*HOLES[fault.number % len(HOLES)])
    await asyncio.sleep(fault.seconds)
    for way in ways:
        # The network comes back with what it held back, or has forgotten who spoke to whom, or
        # tells it those who did.
        if fault.number % 5 == 0:
            way.forget()
        way.heal()
        if fault.number % 5 == 1:
            way.drop()


async def _freeze_broker(cast: FaultTargets, fault: Fault) -> None:
    await asyncio.to_thread(cast.broker.freeze)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(cast.broker.thaw)


async def _kill_broker(cast: FaultTargets, fault: Fault) -> None:
    await asyncio.to_thread(cast.broker.kill)
    await asyncio.sleep(fault.seconds / 2)
    await asyncio.to_thread(cast.broker.start)
    await asyncio.to_thread(kafka.wait_until_ready, cast.broker.address)


def _of_database(act: Callable[[Sequence[Proxy], Fault], Awaitable[None]]) -> "Act":
    async def perform(cast: FaultTargets, fault: Fault) -> None:
        # One replica is cut off, or the writers are; or, one time in three, everybody.
        everybody = fault.number % 3 == 0
        await act(cast.to_database if everybody else [cast.to_database[fault.replica]], fault)

    return perform


def _of_kafka(act: Callable[[Sequence[Proxy], Fault], Awaitable[None]]) -> "Act":
    async def perform(cast: FaultTargets, fault: Fault) -> None:
        await act([cast.to_kafka], fault)

    return perform


def _victim(cast: FaultTargets, fault: Fault) -> Replica:
    return cast.replicas[fault.replica % REPLICAS]


async def _persistently(cast: FaultTargets, statement: str) -> None:
    """Run *statement* as soon as the database is there."""
    while True:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await _directly(cast, statement)
            return
        await asyncio.sleep(RETRY_SECONDS)


async def _directly(cast: FaultTargets, statement: str, *values: object) -> None:
    writable = {"default_transaction_read_only": "off"}
    connection = await asyncpg.connect(cast.database_url, server_settings=writable)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


Act = Callable[[FaultTargets, Fault], Awaitable[None]]
ACTS: Mapping[Kind, Act] = {
    Kind.REPLICA_KILLED: _kill,
    Kind.REPLICA_FROZEN: _freeze,
    Kind.REPLICA_STARVED: _starve,
    Kind.DATABASE_TERMINATED: _terminate,
    Kind.DATABASE_LATE_COMMIT: _commit_late,
    Kind.DATABASE_IDLE_WRITER: _write_elsewhere,
    Kind.DATABASE_DROPPED: _of_database(_drop),
    Kind.DATABASE_REFUSED: _of_database(_refuse),
    Kind.DATABASE_DELAYED: _of_database(_delay),
    Kind.DATABASE_CUT: _of_database(_cut),
    Kind.DATABASE_SWALLOWED: _of_database(_swallow),
    Kind.DATABASE_READ_ONLY: _turn_read_only,
    Kind.DATABASE_FAILED_OVER: _fail_over,
    Kind.DATABASE_CERTIFICATES_REPLACED: _replace_database_certificates,
    Kind.KAFKA_COMPRESSED: _compress,
    Kind.KAFKA_DAMAGED: _damage,
    Kind.KAFKA_TOPIC_DELETED: _delete_topic,
    Kind.KAFKA_RECORDS_REMOVED: _remove_records,
    Kind.KAFKA_ACL_REVOKED: _revoke_acl,
    Kind.KAFKA_CERTIFICATES_REPLACED: _replace_kafka_certificates,
    Kind.KAFKA_DROPPED: _of_kafka(_drop),
    Kind.KAFKA_REFUSED: _of_kafka(_refuse),
    Kind.KAFKA_DELAYED: _of_kafka(_delay),
    Kind.KAFKA_CUT: _of_kafka(_cut),
    Kind.KAFKA_SWALLOWED: _of_kafka(_swallow),
    Kind.BROKER_FROZEN: _freeze_broker,
    Kind.BROKER_KILLED: _kill_broker,
}
"""Those of handlers are not here: they wait in the database for their event."""
