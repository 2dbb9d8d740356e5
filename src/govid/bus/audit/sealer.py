"""Seals the audit log: appends new entries to the Merkle tree, and signs its size and root.

One replica seals at a time, twice a second. An entry is sealed once: the sealer looks for entries
without a leaf above the floor of the last checkpoint. The floor rises to a position when all
transactions that could still add an entry up to it have ended.

The sealer does not sign a second history that it could know of. The stored tree must contain the
newest checkpoint that this process has seen, and that of the checkpoint file. Otherwise entries
were taken back, for example by a restored backup, and an operator has to decide (docs/runbook.md).
"""

import base64
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from govid.bus.audit.checkpoint_file import CheckpointFile, InvalidCheckpointFile
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.merkle import hash_leaf
from govid.bus.audit.signed_notes import Checkpoint, InvalidNote, open_note
from govid.bus.audit.tree_storage import TreeDamaged, compute_root, load_accumulator
from govid.bus.events import AuditCheckpointSealed
from govid.bus.metrics import BusMetrics
from govid.bus.storage.sql import load_statements, try_transaction_lock
from govid.bus.storage.workers import DATABASE_UNAVAILABLE, PeriodicWorker

if TYPE_CHECKING:
    from govid.bus.storage.database import Database

log = logging.getLogger(__name__)

QUERIES = load_statements("govid.bus.audit", "sealer.sql")
ADVISORY_LOCK = 0x7365616C6572
"""Held by the round that seals: "sealer" in hexadecimal."""
PERIOD_SECONDS = 0.5
RETRY_SECONDS = 5.0
"""The pause after a failed round, which is logged each time."""
SWEPT_POSITIONS = 20_000
BATCH_ROWS = 2_000
"""How many entries one round seals at most. The next round follows at once."""

EmitEvent = Callable[[Any, AuditCheckpointSealed, datetime], Awaitable[Collection[str]]]
"""Stores an event in the open transaction of a connection; returns its addressees."""


class HistoryConflict(Exception):
    """The stored log does not contain a checkpoint that was published. Nothing is signed."""


class SettledPoint(NamedTuple):
    """A position, and the id of a transaction that is newer than all with a position up to it.

    `generation` is that of the connections: ids of another server cannot be compared.
    """

    position: int
    transaction: int
    generation: int


class SealedBatch(NamedTuple):
    """What a round has stored: the checkpoint, its signed note, and who is to be notified."""

    checkpoint: Checkpoint
    note: str
    addressees: Collection[str]
    is_full: bool


class AuditSealer:
    """The worker that seals, on one replica at a time."""

    def __init__(
        self,
        database: "Database",
        keys: AuditKeys,
        checkpoint_file: Path | None,
        emit: EmitEvent,
        notify: Callable[[Collection[str]], None],
        metrics: BusMetrics,
    ) -> None:
        """Sign with *keys*; publish each checkpoint by *emit* and in *checkpoint_file*."""
        self._database = database
        self._keys = keys
        self._file = CheckpointFile(checkpoint_file) if checkpoint_file else None
        self._emit = emit
        self._notify = notify
        self._metrics = metrics
        self._published: Checkpoint | None = None
        self._unwritten_note: str | None = None
        self._is_file_read = False
        self._file_failure: str | None = None
        self._conflict = ""
        self._point: SettledPoint | None = None
        self._refused: set[int] = set()
        self._swept_to: int | None = 0 if keys.has_former_keys else None
        self._worker = PeriodicWorker(
            self.run_once,
            PERIOD_SECONDS,
            failure_event="audit.sealing_failed",
            failures=(*DATABASE_UNAVAILABLE, HistoryConflict, TreeDamaged),
            retry_seconds=RETRY_SECONDS,
        )

    async def run(self) -> None:
        """Seal twice a second, until cancelled."""
        await self._worker.run()

    @property
    def succeeded_at(self) -> float:
        """When the last round ended without an error, on the monotonic clock."""
        return self._worker.succeeded_at

    async def run_once(self) -> None:
        """Seal all entries that are committed, unless another replica is sealing.

        Raises:
            HistoryConflict: the log does not contain what was published.
            TreeDamaged: a row of the tree is missing.
            OSError, asyncpg.PostgresError: the database is unavailable.
        """
        is_full = True
        while is_full:
            swept_to = self._swept_to
            try:
                async with (
                    self._database.bus_reads.acquire() as connection,
                    connection.transaction(),
                ):
                    batch = await self._seal_or_report(connection)
            except BaseException:
                # Nothing was committed: the part that was looked at is looked at again.
                self._swept_to = swept_to
                raise
            if batch is not None:
                self._published, self._unwritten_note = batch.checkpoint, batch.note
                self._notify(batch.addressees)
            await self._write_file()
            is_full = batch is not None and batch.is_full

    async def _seal_or_report(self, connection: Any) -> SealedBatch | None:
        try:
            batch = await self._seal_batch(connection)
        except HistoryConflict as error:
            self._metrics.count_history_conflict()
            if str(error) != self._conflict:
                self._conflict = str(error)
                log.critical("audit.history_conflict", extra={"reason": self._conflict})
            raise
        if batch is not None:
            self._conflict = ""
        return batch

    async def _seal_batch(self, connection: Any) -> SealedBatch | None:
        """Append the next entries and store their checkpoint; None if there was nothing to do."""
        last = await connection.fetchrow(QUERIES["last_checkpoint"])
        # Before the lock: replicas that do not seal remember what was published, too.
        await self._require_known_history(connection, last)
        if not await try_transaction_lock(connection, ADVISORY_LOCK):
            return None
        last = await connection.fetchrow(QUERIES["last_checkpoint"])
        await self._require_known_history(connection, last)
        horizon = await connection.fetchrow(QUERIES["horizon"])
        stored_floor = last["floor"] if last else 0
        fresh, is_full = await self._fetch_authentic(connection, stored_floor)
        entries = [*await self._sweep_history(connection, stored_floor), *fresh]
        await self._choose_point(connection, stored_floor, horizon)
        if not entries:
            return None
        self._refused = {one for one in self._refused if one > stored_floor}
        # Above the last entry of a full batch there may be others that wait for the next one.
        end = fresh[-1]["position"] if is_full else horizon["highest"]
        floor = self._compute_floor(stored_floor, min(end, horizon["highest"]), horizon["oldest"])
        size = last["size"] if last else 0
        if last is not None and await compute_root(connection, size) != last["root"]:
            raise HistoryConflict("the tree is not that of its last checkpoint")
        if await connection.fetchval(QUERIES["has_leaf_from"], size):
            raise TreeDamaged("a leaf is in the place of the next one")
        # What was in the file before must be contained in what is about to be signed.
        await self._read_file()
        await self._require_known_history(connection, last)
        tree = await load_accumulator(connection, size)
        hashes = [hash_leaf(entry["content"]) for entry in entries]
        nodes = [b"".join(tree.append(leaf_hash)) or None for leaf_hash in hashes]
        await connection.execute(
            QUERIES["append"],
            list(range(size, tree.size)),
            [entry["id"] for entry in entries],
            hashes,
            nodes,
        )
        checkpoint = Checkpoint(
            origin=self._keys.note_signer.name,
            size=tree.size,
            root=tree.root,
            # A clock that was set back must not make a newer checkpoint look older.
            at=max(horizon["now"], last["at"]) if last else horizon["now"],
        )
        note = self._keys.note_signer.sign(checkpoint)
        await connection.execute(
            QUERIES["store_checkpoint"],
            checkpoint.size,
            checkpoint.root,
            note,
            floor,
            checkpoint.at,
        )
        event = AuditCheckpointSealed(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=base64.b64encode(checkpoint.root).decode(),
            checkpoint=note,
            timestamp=horizon["now"],
        )
        addressees = await self._emit(connection, event, horizon["now"])
        self._metrics.count_sealed(len(entries))
        return SealedBatch(checkpoint, note, addressees, is_full)

    async def _fetch_authentic(self, connection: Any, floor: int) -> tuple[list[Any], bool]:
        """Return up to `BATCH_ROWS` entries without a leaf, and whether there may be more.

        An entry without a valid authentication code was not written by govid. It gets no leaf, and
        `govid audit verify` names it.
        """
        found: list[Any] = []
        position = floor
        while len(found) < BATCH_ROWS:
            rows = await connection.fetch(QUERIES["candidates"], position, BATCH_ROWS)
            for row in rows:
                if self._is_authentic(row):
                    found.append(row)
                else:
                    self._refuse(row["position"])
            if len(rows) < BATCH_ROWS:
                return found, False
            position = rows[-1]["position"]
        return found[:BATCH_ROWS], True

    def _is_authentic(self, row: Any) -> bool:
        """Tell whether govid wrote this entry, and as this row: a copied content has another id."""
        begins = b'{"id":"%s",' % str(row["id"]).encode()
        content: bytes = row["content"]
        return content.startswith(begins) and self._keys.is_authentic(content, row["mac"])

    def _refuse(self, position: int) -> None:
        if position not in self._refused:
            self._refused.add(position)
            self._metrics.count_refused_entry()
            log.error("audit.entry_refused", extra={"position": position})

    async def _choose_point(self, connection: Any, floor: int, horizon: Any) -> None:
        """Choose the position that the floor rises to next, unless there is such a point."""
        generation = self._database.generation.number
        point = self._point
        if point is not None and point.generation == generation and point.position > floor:
            return
        self._point = None
        if horizon["highest"] > floor:
            current: int = await connection.fetchval(QUERIES["current_transaction"])
            self._point = SettledPoint(horizon["highest"], current, generation)

    def _compute_floor(self, floor: int, end: int, oldest: int) -> int:
        """Return the floor of the next checkpoint: at most *end*, up to which all are sealed.

        *oldest* is the oldest transaction that writes: older ones can add no entry any more.
        """
        point = self._point
        if point is None or point.transaction >= oldest:
            return floor
        return max(floor, min(point.position, end))

    async def _sweep_history(self, connection: Any, floor: int) -> list[Any]:
        """Return authentic entries of one more part below *floor* that have no leaf.

        A replica that did not know a new key has refused its entries, and the floor has passed
        them. So a process with several keys looks at all entries once, a part in each round.
        """
        if self._swept_to is None or self._swept_to >= floor:
            self._swept_to = None
            return []
        end = min(self._swept_to + SWEPT_POSITIONS, floor)
        rows = await connection.fetch(QUERIES["left_behind"], self._swept_to, end)
        self._swept_to = end
        return [row for row in rows if self._is_authentic(row)]

    async def _require_known_history(self, connection: Any, last: Any) -> None:
        """Check the *last* stored checkpoint against what was published, and remember it.

        Raises:
            HistoryConflict: it is not signed, or does not contain a published checkpoint.
        """
        known = self._published
        size = last["size"] if last else 0
        if known is not None and known.size > size:
            raise HistoryConflict("the log is shorter than a published checkpoint")
        if last is None or (known is not None and (known.size, known.root) == (size, last["root"])):
            return
        try:
            stored = open_note(last["note"] or "", self._keys.note_verifiers)
        except InvalidNote as error:
            raise HistoryConflict("no known key has signed the last checkpoint") from error
        if (stored.size, stored.root) != (size, last["root"]):
            raise HistoryConflict("the last checkpoint is not what was signed")
        if known is not None and await compute_root(connection, known.size) != known.root:
            raise HistoryConflict("the log does not contain a published checkpoint")
        self._published = stored

    async def _read_file(self) -> None:
        """Read the checkpoint that this or an earlier process has written to the file.

        A file that cannot be read is tried again in the next round, and is not written before.

        Raises:
            HistoryConflict: the file holds something else.
        """
        if self._file is None:
            return
        try:
            note = await self._file.read()
            known = open_note(note, self._keys.note_verifiers) if note else None
        except InvalidNote as error:
            raise HistoryConflict("the checkpoint file holds no checkpoint of this log") from error
        except (OSError, InvalidCheckpointFile) as error:
            self._log_file_failure(error)
            return
        if known is not None and (self._published is None or known.size > self._published.size):
            self._published = known
        self._is_file_read = True

    async def _write_file(self) -> None:
        """Write the newest checkpoint to the file; after an error the next round tries again."""
        if self._file is None or not self._is_file_read or self._unwritten_note is None:
            return
        try:
            # Another replica may have written a newer one since; that one stays.
            await self._read_file()
            own = open_note(self._unwritten_note, self._keys.note_verifiers)
            if self._published is None or self._published.size <= own.size:
                await self._file.write(self._unwritten_note)
        except (OSError, InvalidCheckpointFile) as error:
            self._log_file_failure(error)
            return
        self._unwritten_note = self._file_failure = None

    def _log_file_failure(self, error: Exception) -> None:
        """Log *error*, unless the last attempt ended alike: there are two attempts a second."""
        name = type(error).__name__
        if name != self._file_failure:
            self._file_failure = name
            log.warning("audit.checkpoint_file_failed", extra={"error_class": name})
