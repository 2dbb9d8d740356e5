"""Prepares the environment of a run: its database, its names in Kafka, its proxies and writers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
from confluent_kafka.admin import ResourceType
from sqlalchemy import make_url

from govid.bus import BusSettings, SystemClock
from govid.bus.delivery.wakeup import WakeupNotifier
from govid.bus.events import Topic
from govid.bus.kafka.permissions import required_topic_operations
from govid.bus.runtime import Bus
from govid.bus.settings import KafkaSecurity
from tests.audit_entries import AUDIT
from tests.backends.kafka_secured import SecuredBroker, acl_entry
from tests.chaos.consumers import SCHEMA, PlannedFailures, module
from tests.chaos.databases import APPLICATION, ROLES, demand_tls
from tests.chaos.plan import ACCOUNTS, HANDLERS, LEASE_SECONDS, REPLICAS, Plan
from tests.chaos.proxy import Proxy
from tests.chaos.shared_backends import SharedBackends
from tests.chaos.writers import APPOINTMENT, VERIFICATION, Writers, account_number

GRANTS = f"""
    GRANT USAGE ON SCHEMA chaos TO {ROLES.application};
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA chaos TO {ROLES.application};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA chaos TO {ROLES.application};
"""
"""What handlers and writers do with their own tables. govid's privileges are the product's."""


async def prepare_database(plan: Plan, database_url: str) -> PlannedFailures:
    """Create the accounts and the planned failures; return these."""
    moods = {
        # Early numbers, which every account is sure to reach.
        (account_number(fault.number % ACCOUNTS), 1 + fault.number % 5): fault.kind
        for fault in plan.faults
        if fault.kind in HANDLERS
    }
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(SCHEMA)
        await connection.execute(GRANTS)
        await connection.executemany(
            "INSERT INTO chaos.account VALUES ($1, $2, 0)",
            [
                (account_number(n), stream)
                for n in range(ACCOUNTS)
                for stream in (VERIFICATION, APPOINTMENT)
            ],
        )
        await connection.executemany(
            "INSERT INTO chaos.mood VALUES ($1, $2, $3, $4)",
            [(account, n, kind.value, 1 + n % 2) for (account, n), kind in moods.items()],
        )
    finally:
        await connection.close()
    return moods


def build_settings(
    plan: Plan, shared_backends: SharedBackends, database_url: str, folder: Path
) -> BusSettings:
    """Return settings of a bus past all proxies but Kafka's, under names of this run only.

    The bus connects to Kafka by TLS and a password, with the least ACLs, and to the database by TLS
    as a member of the application's role; *database_url* is that of a superuser. The authorities of
    both are in files of *folder*. In a run that damages records it connects to Kafka in plaintext:
    by TLS a damaged record never arrives.
    """
    database_authorities = folder / "database-authorities.crt"
    database_authorities.write_bytes(shared_backends.authority.pem)
    secured = shared_backends.secured
    authorities = folder / "authorities.crt"
    authorities.write_bytes(secured.certificates.authority.read_bytes())
    port, security = shared_backends.secured_port, secured.security(ca_file=authorities)
    if not plan.is_secured:
        port, security = shared_backends.kafka_port, KafkaSecurity()
    name = make_url(database_url).database or ""
    mark = f"{plan.seed}.{name[-6:]}"
    return BusSettings(
        database_url=demand_tls(database_url, APPLICATION, database_authorities),
        kafka_bootstrap_servers=f"127.0.0.1:{port}",
        kafka_security=security,
        kafka_client_id=f"chaos.{mark}",
        topic_names={topic: f"{topic.value}.{mark}" for topic in Topic},
        pseudonym_key=b"a key for chaos, 32 bytes or more",
        audit=AUDIT,
        request_pool_size=3,
        bus_pool_size=4,
        lease_seconds=LEASE_SECONDS,
        backoff_limit_seconds=4,
        topic_partitions=2,
    )


def route_through(settings: BusSettings, way: Proxy) -> BusSettings:
    """Return *settings* of a bus that reaches its database by *way*."""
    url = make_url(settings.database_url).set(host="127.0.0.1", port=way.port)
    return msgspec.structs.replace(settings, database_url=url.render_as_string(hide_password=False))


async def open_proxies(
    stack: AsyncExitStack, shared_backends: SharedBackends, settings: BusSettings
) -> tuple[list[Proxy], Proxy]:
    """Open a way to the database for each replica and for the writers, and one to Kafka."""
    database = make_url(settings.database_url)
    to_database = [
        await stack.enter_async_context(Proxy(database.host or "", database.port or 5432))
        for _ in range(REPLICAS + 1)
    ]
    secured = shared_backends.secured
    is_secured = settings.kafka_security.is_encrypted
    address = secured.address if is_secured else secured.broker.behind
    host, _, port = address.partition(":")
    own_port = int(settings.kafka_bootstrap_servers.rpartition(":")[2])
    return to_database, await stack.enter_async_context(Proxy(host, int(port), own_port))


def grant_least_acls(secured: SecuredBroker, settings: BusSettings) -> None:
    """Allow the user of *settings* what it needs on its topics and in its group, and no more."""
    secured.grant(
        *(
            acl_entry(ResourceType.TOPIC, topic, operation.name)
            for topic, operations in required_topic_operations(settings).items()
            for operation in operations
        ),
        acl_entry(ResourceType.GROUP, settings.inbox_group, "READ"),
    )


@asynccontextmanager
async def open_writers(settings: BusSettings, seed: int) -> AsyncIterator[Writers]:
    """Yield writers on a bus that only writes, and notifies the replicas."""
    bus = Bus(settings, SystemClock())
    bus.add_module(module(bus.database, {}))
    notifier = WakeupNotifier(settings.database_url, bus.wakeups, lambda: REPLICAS)
    telling = asyncio.create_task(notifier.run())
    try:
        yield Writers(bus.uow, seed)
    finally:
        telling.cancel()
        await asyncio.wait([telling])
        await bus.database.close_pools()
