"""The sealer signs no history that does not contain what it has published."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from govid.bus import BusSettings, Database
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.merkle import EMPTY_ROOT
from govid.bus.audit.sealer import HistoryConflict
from govid.bus.audit.signed_notes import Checkpoint, open_note
from govid.bus.audit.tree_storage import TreeDamaged
from tests.audit_entries import AUDIT
from tests.integration.bus.audit.sealed_log import SealedLog, execute_as_superuser

FAILURE = "audit.checkpoint_file_failed"
CHECKPOINT = Checkpoint(origin=AUDIT.origin, size=0, root=EMPTY_ROOT)
OTHER_KEYS = AuditKeys((b"another key of 32 bytes or more...",), AUDIT.origin)
OTHER_LOG = AuditKeys((AUDIT.key,), "another.test/audit")


@pytest.fixture
def log(bus_settings: BusSettings, database: Database) -> SealedLog:
    """Return an empty log."""
    return SealedLog(bus_settings, database)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a checkpoint file that does not exist yet."""
    return tmp_path / "folder" / "checkpoint"


def make_folder(file: Path) -> None:
    file.mkdir(parents=True)


def make_pipe(file: Path) -> None:
    file.parent.mkdir()
    os.mkfifo(file)


def make_read_only(file: Path) -> None:
    # As root, only what is no folder cannot be written to.
    file.parent.write_text("")


def leave_out(_file: Path) -> None:
    """Leave even the folder out."""


@pytest.mark.parametrize("make", [make_folder, make_pipe, make_read_only, leave_out])
async def test_r22_sealing_continues_without_its_file(
    log: SealedLog, file: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    make(file)
    sealer = log.build_sealer(file)
    for _ in range(3):
        await log.write(1)
        await sealer.run_once()
    assert (await log.fetch_whole())[-1].size == 3
    assert len([one for one in caplog.records if one.message == FAILURE]) == 1


def read_folder(file: Path) -> tuple[str, list[str]]:
    return file.read_text(), [one.name for one in file.parent.iterdir()]


async def test_r22_the_file_is_written_once_that_is_possible(log: SealedLog, file: Path) -> None:
    sealer = log.build_sealer(file)
    await log.write(1)
    await sealer.run_once()
    file.parent.mkdir()
    await sealer.run_once()
    (checkpoint,) = await log.fetch_whole()
    note, names = read_folder(file)
    assert (open_note(note, log.keys.note_verifiers), names) == (checkpoint, [file.name])


@pytest.mark.parametrize(
    "content",
    [
        b"garbage",
        b"\xff",
        b"x" * 70_000,
        OTHER_KEYS.note_signer.sign(CHECKPOINT).encode(),
        OTHER_LOG.note_signer.sign(CHECKPOINT).encode(),
    ],
    ids=["garbage", "bytes", "large", "another key", "another log"],
)
async def test_r22_a_file_with_something_else_stops_the_sealer(
    log: SealedLog, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = tmp_path / "checkpoint"
    file.write_bytes(content)
    await log.write(1)
    sealer = log.build_sealer(file)
    for _ in range(2):
        with pytest.raises(HistoryConflict):
            await sealer.run_once()
    assert (await log.fetch_checkpoints(), file.read_bytes()) == ([], content)
    assert [one.message for one in caplog.records] == ["audit.history_conflict"]
    assert log.registry.get_sample_value("govid_audit_history_conflicts_total") == 2


async def test_r22_a_file_of_an_earlier_key_is_accepted(log: SealedLog, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    await log.write(1)
    await log.build_sealer(file).run_once()
    log.keys = AuditKeys((b"a newer key of 32 bytes or more....", AUDIT.key), AUDIT.origin)
    await log.write(1)
    await log.build_sealer(file).run_once()
    assert [one.size for one in await log.fetch_whole()] == [1, 2]


EMPTIED = (
    "TRUNCATE audit.leaf, audit.entry, audit.checkpoint",
    "ALTER SEQUENCE audit.entry_position RESTART",
)
SHORTENED = (
    "DELETE FROM audit.entry WHERE id IN (SELECT entry_id FROM audit.leaf WHERE index >= 3)",
    "DELETE FROM audit.leaf WHERE index >= 3",
    "DELETE FROM audit.checkpoint WHERE size > 3",
)
REWRITTEN = (
    "UPDATE audit.leaf SET hash = sha256('other'), nodes = nodes || '' WHERE index = 4",
    "UPDATE audit.checkpoint SET root = sha256('other') WHERE size = 5",
)


@pytest.mark.parametrize("statements", [EMPTIED, SHORTENED, REWRITTEN], ids=["0", "3", "5"])
@pytest.mark.parametrize("restarts", [True, False])
async def test_r22_nothing_is_signed_on_a_log_that_was_taken_back(
    log: SealedLog, tmp_path: Path, statements: tuple[str, ...], restarts: bool
) -> None:
    file = tmp_path / "checkpoint"
    sealer = log.build_sealer(file)
    for entries in (3, 2):
        await log.write(entries)
        await sealer.run_once()
    published = file.read_text()
    await execute_as_superuser(log.database, *statements)
    before: list[Any] = await log.fetch_checkpoints()
    await log.write(9)
    with pytest.raises(HistoryConflict):
        await (log.build_sealer(file) if restarts else sealer).run_once()
    assert (await log.fetch_checkpoints(), file.read_text()) == (before, published)


async def test_r22_memory_alone_reveals_a_log_that_was_taken_back(log: SealedLog) -> None:
    sealer = log.build_sealer()
    await log.write(4)
    await sealer.run_once()
    await execute_as_superuser(log.database, *EMPTIED)
    # Another replica, which knows nothing of it, signs a history of its own.
    await log.write(6)
    await log.build_sealer().run_once()
    await log.write(1)
    with pytest.raises(HistoryConflict):
        await sealer.run_once()


async def rewind(log: SealedLog, size: int) -> None:
    """Take everything after *size* entries back, as a restored backup does."""
    await execute_as_superuser(
        log.database,
        f"DELETE FROM audit.restricted WHERE entry_id IN"  # noqa: S608 - a number
        f" (SELECT id FROM audit.entry WHERE position > {size})",
        f"DELETE FROM audit.entry WHERE position > {size}",  # noqa: S608 - a number
        f"DELETE FROM audit.leaf WHERE index >= {size}",  # noqa: S608 - a number
        f"DELETE FROM audit.checkpoint WHERE size > {size}",  # noqa: S608 - a number
    )


async def test_r22_a_replica_that_only_watched_signs_no_second_history(log: SealedLog) -> None:
    sealing, watching = log.build_sealer(), log.build_sealer()
    await log.write(5)
    await sealing.run_once()
    await log.write(5)
    await sealing.run_once()
    await watching.run_once()
    await rewind(log, 5)
    await log.write(5)
    with pytest.raises(HistoryConflict):
        await watching.run_once()
    assert [row["size"] for row in await log.fetch_checkpoints()] == [5]


async def test_r22_a_replica_does_not_replace_a_newer_file(log: SealedLog, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    first, second = log.build_sealer(file), log.build_sealer(file)
    await log.write(1)
    await first.run_once()
    old = file.read_text()
    await log.write(1)
    await second.run_once()
    newest = file.read_text()
    first._unwritten_note = old
    await first._write_file()
    assert file.read_text() == newest != old


@pytest.mark.parametrize(
    "checkpoint",
    [
        "(99, sha256('x'), 'x', 0, now())",
        "(4611686018427387904, sha256('x'), 'x', 9223372036854775807, now())",
    ],
    ids=["forged", "huge"],
)
async def test_r22_a_forged_checkpoint_is_not_continued(log: SealedLog, checkpoint: str) -> None:
    await log.write(1)
    await log.build_sealer().run_once()
    await log.database.reads.execute(
        f"INSERT INTO audit.checkpoint VALUES {checkpoint}"  # noqa: S608 - a row of this test
    )
    await log.write(1)
    with pytest.raises(HistoryConflict):
        await log.build_sealer().run_once()


async def test_r22_a_leaf_in_the_place_of_the_next_stops_the_sealer(log: SealedLog) -> None:
    await log.write(1)
    await log.build_sealer().run_once()
    await log.database.reads.execute(
        "INSERT INTO audit.leaf VALUES (1, gen_random_uuid(), sha256('x'))"
    )
    await log.write(1)
    with pytest.raises(TreeDamaged):
        await log.build_sealer().run_once()


async def test_r22_entries_of_a_key_that_was_unknown_are_sealed_later(log: SealedLog) -> None:
    await log.write(1)
    await log.build_sealer().run_once()
    await log.write(2)
    # As if a replica that did not know their key had refused them, and sealed later ones.
    await execute_as_superuser(log.database, "UPDATE audit.checkpoint SET floor = 3")
    await log.build_sealer().run_once()
    assert [row["size"] for row in await log.fetch_checkpoints()] == [1]
    log.keys = AuditKeys([AUDIT.key, b"a former key for tests, of 32 bytes"], AUDIT.origin)
    await log.build_sealer().run_once()
    assert [row["size"] for row in await log.fetch_checkpoints()] == [1, 3]
