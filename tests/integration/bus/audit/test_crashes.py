"""A sealer that is killed, and sealers that seal at once: each entry becomes one leaf."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from govid.bus import BusSettings, Database
from govid.bus.audit import sealer as sealer_module
from govid.bus.audit.sealer import BATCH_ROWS
from govid.bus.audit.signed_notes import open_note
from tests.integration.bus.audit.crashing_sealer import STEPS
from tests.integration.bus.audit.sealed_log import SealedLog, a_read
from tests.integration.bus.harness import CONTEXT, wait_until

LAST_FLOOR = "SELECT floor FROM audit.checkpoint ORDER BY size DESC LIMIT 1"


@pytest.fixture
def log(bus_settings: BusSettings, database: Database) -> SealedLog:
    """Return an empty log."""
    return SealedLog(bus_settings, database)


@pytest.mark.parametrize("step", STEPS)
async def test_r22_another_sealer_continues_after_one_that_was_killed(
    log: SealedLog, bus_settings: BusSettings, tmp_path: Path, step: str
) -> None:
    file = tmp_path / "checkpoint"
    await log.write(3)
    await log.build_sealer(file).run_once()
    await log.write(6)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.bus.audit.crashing_sealer"),
        *(bus_settings.database_url, str(file), step),
    )
    assert await process.wait() == -9
    published = open_note(file.read_text(), log.keys.note_verifiers)
    await log.write(2)
    await log.build_sealer(file).run_once()
    checkpoints = await log.fetch_whole()
    assert published in checkpoints
    assert checkpoints[-1].size == 11
    assert open_note(file.read_text(), log.keys.note_verifiers) == checkpoints[-1]


async def test_r22_two_sealers_at_once_seal_each_entry_once(
    log: SealedLog, bus_settings: BusSettings
) -> None:
    async with Database(bus_settings) as other:
        sealers = [log.build_sealer(), log.build_sealer(database=other)]
        for _ in range(10):
            await asyncio.gather(log.write(3), *(one.run_once() for one in sealers))
        await sealers[1].run_once()
    assert (await log.fetch_whole())[-1].size == 30


async def test_r22_a_backlog_of_several_batches_is_sealed_whole(
    log: SealedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer_module, "BATCH_ROWS", 10)
    await log.write(55)
    sealer = log.build_sealer()
    await sealer.run_once()
    assert (await log.fetch_whole())[-1].size == 55
    await log.write(25)
    await sealer.run_once()
    assert (await log.fetch_whole())[-1].size == 80


async def test_r22_an_entry_that_commits_late_is_sealed(log: SealedLog) -> None:
    sealer = log.build_sealer()
    async with log.replica.uow.begin(CONTEXT) as late:
        late.emit(a_read())
        await log.replica.outbox.write(late.driver, late.drain_emissions())
        for _ in range(3):
            await log.write(1)
            await sealer.run_once()
        floors = [row["floor"] for row in await log.fetch_checkpoints()]
    await sealer.run_once()
    assert floors == [0, 0, 0]
    assert (await log.fetch_whole())[-1].size == 4


async def test_r22_the_floor_rises_so_that_old_entries_are_not_read_again(log: SealedLog) -> None:
    sealer = log.build_sealer()

    async def has_risen() -> bool:
        # Once the transactions of that time have ended, other databases' among them.
        await log.write(1)
        await sealer.run_once()
        return bool(await log.database.reads.fetchval(LAST_FLOOR))

    await wait_until(has_risen)
    await log.fetch_whole()


async def test_r22_a_sealer_without_entries_uses_no_transaction_id(log: SealedLog) -> None:
    sealer = log.build_sealer()
    await log.write(1)
    await sealer.run_once()
    await sealer.run_once()
    point = sealer._point
    await sealer.run_once()
    assert point is not None
    assert sealer._point == point


@pytest.mark.parametrize("hours", [-48, 48])
async def test_r22_a_clock_that_jumps_makes_no_checkpoint_look_older(
    log: SealedLog, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    sealer = log.build_sealer()
    await log.write(1)
    await sealer.run_once()
    jumped = sealer_module.QUERIES["horizon"].replace(
        "clock_timestamp()", f"clock_timestamp() + interval '{hours} hours'"
    )
    monkeypatch.setitem(sealer_module.QUERIES, "horizon", jumped)
    await log.write(1)
    await sealer.run_once()
    monkeypatch.undo()
    await log.write(1)
    await sealer.run_once()
    rows = await log.fetch_checkpoints()
    await log.fetch_whole()
    first, second, third = [row["at"] for row in rows]
    assert (second - first >= timedelta(hours=47)) is (hours > 0)
    assert third >= second


async def test_r22_forged_entries_are_refused_and_block_nothing(
    log: SealedLog, caplog: pytest.LogCaptureFixture
) -> None:
    await log.write(1)
    await log.database.reads.execute(
        """
        INSERT INTO audit.entry (id, at, event, content, mac)
        SELECT gen_random_uuid(), now(), 'login.failed', convert_to(n::text, 'UTF8'),
               sha256(n::text::bytea)
        FROM generate_series(1, 5000) n
        """
    )
    await log.write(1)
    sealer = log.build_sealer()
    await sealer.run_once()
    await sealer.run_once()
    refused = [one for one in caplog.records if one.message == "audit.entry_refused"]
    assert len(refused) == 5_000 > BATCH_ROWS
    assert (await log.fetch_whole())[-1].size == 2


async def test_r22_a_copied_entry_is_refused(log: SealedLog) -> None:
    await log.write(1)
    await log.database.reads.execute(
        """
        INSERT INTO audit.entry (id, at, event, subject, content, mac)
        SELECT gen_random_uuid(), at, event, subject, content, mac FROM audit.entry
        """
    )
    await log.build_sealer().run_once()
    assert await log.database.reads.fetchval("SELECT count(*) FROM audit.leaf") == 1
