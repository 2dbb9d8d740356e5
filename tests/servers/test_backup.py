"""A backup is taken while govid serves, and restored: docs/operations.md and docs/restore.md."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from confluent_kafka.admin import AdminClient

from govid.bus.events import Topic
from govid.gateway.migrations import upgrade
from govid.gateway.settings import load_from_environment
from tests.backends.debian_postgres import DebianServer, debian_server, successor_of
from tests.backends.forked_commands import run
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.http.client import Client
from tests.kafka.test_restore import rewind
from tests.servers.documented_backup import BackupFolder
from tests.servers.signals import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(240)]

OTHER_KEY = "j2v8QzWmT0rXkCyN5aPbLdEuHs7gF1iOqR4tY9w"
PASSWORD = "seven green bicycles at dawn"
NUMBERS = count(100_000)


class Installation:
    """A database that archives its WAL, a Kafka, and citizens who register at `govid serve`."""

    def __init__(
        self, folder: Path, former: DebianServer, restored: DebianServer, kafka: str
    ) -> None:
        """Describe it; files of govid are in *folder*, and *restored* has no data yet."""
        self.folder = folder
        self.former = former
        self.restored = restored
        self.current = former
        self.backups = BackupFolder(former.folder)
        self.kafka = kafka
        self.prefix = f"{uuid4().hex[:8]}."
        self.govid = self.on(former)

    def on(self, server: DebianServer) -> Govid:
        """Return govid with this installation's settings, on the database of *server*."""
        return Govid(
            self.folder,
            database_url=server.url(),
            kafka=self.kafka,
            extra={**FLOOR_OF_HASHES, "GOVID_KAFKA_PREFIX": self.prefix},
        )

    async def register(self, amount: int) -> list[str]:
        """Register new citizens; return their email addresses."""
        people = [f"{next(NUMBERS)}@example.com" for _ in range(amount)]
        return await self.register_people(people)

    async def register_people(self, addresses: Iterable[str]) -> list[str]:
        """Register citizens with *addresses*, and wait until all their events are published."""
        registered = []
        async with httpx.AsyncClient(base_url=self.govid.url, timeout=20) as http:
            for address in addresses:
                nino = f"AB{address.partition('@')[0]}C"
                answer = await Client(http).register(
                    email=address, password=PASSWORD, identifierValue=nino
                )
                assert answer.status_code == 201, answer.text
                registered.append(address)
        await wait_until(self.has_nothing_pending)
        return registered

    async def sign_in(self, addresses: list[str]) -> set[int]:
        """Return the status codes of sign-ins of the citizens with *addresses*."""
        async with httpx.AsyncClient(base_url=self.govid.url, timeout=20) as http:
            return {
                (
                    await http.post(
                        "/api/auth/login", json={"email": address, "password": PASSWORD}
                    )
                ).status_code
                for address in addresses
            }

    async def has_nothing_pending(self) -> bool:
        """Tell whether each event is at all of its subscribers, Kafka among them."""
        return await fetch_value(self.current, "SELECT count(*) FROM bus.delivery") == 0

    async def command(self, *arguments: str, **settings: str) -> tuple[int | None, list[str]]:
        """Run `govid` on the present database; return its exit code and its lines."""
        environment = {**self.on(self.current).environment, **settings}
        return await asyncio.to_thread(
            lambda: run(*arguments, folder=self.folder, environment=environment)
        )

    async def verify(self, *arguments: str) -> tuple[int | None, dict[str, Any]]:
        """Run `govid outbox verify`; return its exit code and its report."""
        code, lines = await self.command("outbox", "verify", "--json", *arguments)
        return code, json.loads("\n".join(lines))

    async def restore(self, **options: Any) -> None:
        """Restore the database by the commands of the document, and wait as it says."""
        await asyncio.to_thread(lambda: self.backups.restore(self.restored, **options))

        async def is_promoted() -> bool:
            return not await asyncio.to_thread(self.backups.is_recovering, self.restored)

        await wait_until(is_promoted)
        self.backups.forget_target(self.restored)
        self.current = self.restored

    async def start_govid(self) -> None:
        """Start govid on the present database."""
        self.govid = self.on(self.current)
        await asyncio.to_thread(self.govid.start)

    async def take_backup(self) -> list[str]:
        """Take a base backup while citizens register; return the citizens."""
        copying = asyncio.create_task(asyncio.to_thread(self.backups.take, self.former))
        registered = await self.register(3)
        await copying
        return registered


async def fetch_value(server: DebianServer, query: str) -> Any:
    connection = await asyncpg.connect(server.url())
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.fixture
def former() -> Iterator[DebianServer]:
    """Return the server of which backups are taken."""
    with debian_server() as server:
        upgrade(server.url())
        yield server


@pytest.fixture
def restored(former: DebianServer) -> Iterator[DebianServer]:
    """Return a server that has no data yet."""
    with successor_of(former) as server:
        yield server


@pytest.fixture
async def installation(
    former: DebianServer, restored: DebianServer, kafka_address: str, tmp_path: Path
) -> AsyncIterator[Installation]:
    """Return an installation that runs and has its first citizens."""
    installation = Installation(tmp_path, former, restored, kafka_address)
    installation.backups.configure(former)
    await installation.start_govid()
    try:
        await installation.register(2)
        yield installation
    finally:
        installation.govid.stop()


async def test_r11_database_is_set_back_to_a_moment_and_the_audit_names_what_is_gone(
    installation: Installation,
) -> None:
    earlier = await installation.take_backup() + await installation.register(3)
    moment: datetime = await fetch_value(installation.former, "SELECT now()")
    later = await installation.register(4)
    installation.govid.stop()
    installation.former.stop("fast")

    await installation.restore(moment=moment.isoformat())
    code, lines = await installation.command(
        "check", GOVID_KEY_ENCRYPTION_KEY=OTHER_KEY, GOVID_PSEUDONYM_KEY=OTHER_KEY[::-1]
    )
    assert code == 5
    strange = " is not the key that this database was used with"
    assert {"fault: GOVID_KEY_ENCRYPTION_KEY", "fault: GOVID_PSEUDONYM_KEY"} <= {
        line.partition(strange)[0] for line in lines if strange in line
    }

    code, report = await installation.verify()
    assert code == 5
    assert {one["problem"] for one in report["findings"]} == {"kafka_ahead"}
    since = datetime.fromisoformat(report["kafka"]["ahead_since"])
    assert since > moment.replace(microsecond=0)
    settings = load_from_environment(installation.govid.environment, env_file=None).bus
    await rewind(settings, since)
    code, lines = await installation.command(
        "topics", "accept-ahead", "--reason", "restored from a backup", "--yes"
    )
    assert code == 0, lines

    restarted = datetime.now(UTC)
    await installation.start_govid()
    assert await installation.sign_in(earlier) == {200}
    assert await installation.sign_in(later) == {401}
    assert await installation.register_people(later) == later
    assert await installation.sign_in(later) == {200}
    code, report = await installation.verify("--since", restarted.isoformat())
    assert (code, report["findings"]) == (0, [])
    assert report["kafka"]["proved"] >= len(later)


async def test_r11_lost_server_is_replayed_to_its_last_commit_and_lost_records_are_published_again(
    installation: Installation,
) -> None:
    citizens = await installation.take_backup() + await installation.register(3)
    # The archive has no part of this yet: it is in the folder of the server only.
    installation.former.stop("immediate")
    installation.govid.stop()

    await installation.restore(former=installation.former)
    code, report = await installation.verify()
    assert (code, report["findings"]) == (0, [])
    assert report["kafka"]["proved"] >= len(citizens)

    # Kafka loses a topic in the same disaster.
    topic = installation.prefix + Topic.VERIFICATION_REQUEST.value
    client = AdminClient({"bootstrap.servers": installation.kafka})
    await asyncio.to_thread(client.delete_topics([topic])[topic].result, 20)

    async def is_created_again() -> bool:
        return topic in (await asyncio.to_thread(client.list_topics, timeout=10)).topics

    await installation.start_govid()
    await wait_until(is_created_again)
    assert await installation.sign_in(citizens) == {200}
    code, report = await installation.verify()
    assert code == 5
    assert {one["problem"] for one in report["findings"]} == {"record_missing"}
    assert "`govid outbox replay --unproved --reason '...'`" in report["findings"][0]["remedy"]
    code, lines = await installation.command(
        "outbox", "replay", "--unproved", "--reason", "topic deleted", "--yes"
    )
    assert code == 0, lines
    await wait_until(installation.has_nothing_pending)
    code, report = await installation.verify()
    assert (code, report["findings"]) == (0, [])
