"""A log with entries, its sealers, and the check that a log is whole."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from govid.bus import Actor, BusSettings, Database, OperationContext
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.merkle import TreeAccumulator, hash_leaf
from govid.bus.audit.sealer import AuditSealer, EmitEvent
from govid.bus.audit.signed_notes import Checkpoint, open_note
from govid.bus.events import AuditCheckpointSealed, DataRead
from govid.bus.metrics import BusMetrics
from tests.audit_entries import AUDIT
from tests.integration.bus.harness import CONTEXT, BusFixture, LedgerHandler

LEAVES = """
    SELECT l.index, l.hash, l.nodes, e.id, e.content, e.mac
    FROM audit.leaf l LEFT JOIN audit.entry e ON e.id = l.entry_id ORDER BY l.index
"""
UNSEALED = """
    SELECT e.content, e.mac FROM audit.entry e
    WHERE NOT EXISTS (SELECT FROM audit.leaf l WHERE l.entry_id = e.id) ORDER BY e.position
"""
CHECKPOINTS = "SELECT size, root, note, floor, at FROM audit.checkpoint ORDER BY size"


def a_read(account_id: UUID | None = None, reader_id: UUID | None = None) -> DataRead:
    return DataRead(
        account_id=account_id or uuid4(),
        reader_id=reader_id or uuid4(),
        role="caseworker",
        purpose="review",
        fields=["identifiers"],
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )


def context_of(read: DataRead) -> OperationContext:
    reader = Actor(kind="account", id=str(read.reader_id))
    return OperationContext(correlation_id="read", actor=reader)


class SealedLog:
    """The log of one database, as one replica uses it."""

    def __init__(self, settings: BusSettings, database: Database) -> None:
        self.replica = BusFixture(settings, database, LedgerHandler())
        self.database = database
        self.keys = AuditKeys.from_settings(AUDIT)
        self.registry = CollectorRegistry()
        self._metrics = BusMetrics(self.registry)

    def build_sealer(
        self,
        file: Path | None = None,
        *,
        emit: EmitEvent | None = None,
        notify: Callable[[Any], None] = lambda _: None,
        database: Database | None = None,
    ) -> AuditSealer:
        """Return a sealer that has sealed nothing yet, as after a restart."""
        return AuditSealer(
            database or self.database, self.keys, file, emit or self.emit, notify, self._metrics
        )

    async def emit(
        self, connection: Any, event: AuditCheckpointSealed, now: datetime
    ) -> Sequence[str]:
        """Store the event of a checkpoint, as the bus does."""
        return list(await self.replica.outbox.write(connection, [(event, CONTEXT, now)]))

    async def write(self, entries: int) -> None:
        """Write entries in one transaction."""
        async with self.replica.uow.begin(CONTEXT) as tx:
            for _ in range(entries):
                tx.emit(a_read())

    async def fetch_checkpoints(self) -> list[Any]:
        """Return the stored checkpoints, by size."""
        return list(await self.database.reads.fetch(CHECKPOINTS))

    async def fetch_whole(self) -> list[Checkpoint]:
        """Return the published checkpoints of a log that is whole.

        Each leaf is that of one entry, no authentic entry is unsealed, and each checkpoint has the
        root that its entries have.
        """
        leaves = await self.database.reads.fetch(LEAVES)
        assert [row["index"] for row in leaves] == list(range(len(leaves)))
        assert len({row["id"] for row in leaves}) == len(leaves)
        unsealed = await self.database.reads.fetch(UNSEALED)
        assert [one for one in unsealed if self.keys.is_authentic(one["content"], one["mac"])] == []
        tree, roots = TreeAccumulator(), {}
        for row in leaves:
            assert row["hash"] == hash_leaf(row["content"])
            assert b"".join(tree.append(row["hash"])) == (row["nodes"] or b"")
            roots[tree.size] = tree.root
        rows = await self.fetch_checkpoints()
        assert [row["root"] for row in rows] == [roots[row["size"]] for row in rows]
        notes = [open_note(row["note"], self.keys.note_verifiers) for row in rows]
        assert [(one.size, one.root, one.at) for one in notes] == [
            (row["size"], row["root"], row["at"]) for row in rows
        ]
        assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
        assert [row["floor"] for row in rows] == sorted(row["floor"] for row in rows)
        assert not leaves or rows[-1]["size"] == len(leaves)
        return notes


async def execute_as_superuser(database: Database, *statements: str) -> None:
    """Run *statements* without the triggers that protect the log."""
    async with database.reads.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)
