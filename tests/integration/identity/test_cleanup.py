"""Cleanup: each job to its end, by one replica at a time, and no job delays another."""

import asyncio
from typing import Any

import pytest

from govid.bus import Database, QuotaCounters, Transaction
from govid.identity import cleanup
from govid.identity.cleanup import BATCH_ROWS, CleanupWorker
from govid.identity.rate_limits.attempts import ThrottleCleanup
from govid.identity.repository.login_lockouts import LoginAttemptRepository
from tests.integration.identity.conftest import build_uow
from tests.integration.identity.rate_limits.conftest import RateLimitFixture, open_limiter


class RecordedJob:
    """Something to do so many times."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.batches: list[int] = []

    async def work(self, tx: Transaction, most: int) -> int:
        done = min(self.rows, most)
        self.rows -= done
        self.batches.append(done)
        return done


def build_cleanup(database: Database, *chores: Any) -> CleanupWorker:
    return CleanupWorker(build_uow(database), {f"chore {n}": one for n, one in enumerate(chores)})


async def broken(tx: Transaction, most: int) -> int:
    await tx.driver.execute("SELECT 1 / 0")
    return 0


async def test_a_job_is_done_in_batches_until_nothing_is_left(database: Database) -> None:
    chore = RecordedJob(2 * BATCH_ROWS + 1)
    await build_cleanup(database, chore.work).run_once()
    assert chore.batches == [BATCH_ROWS, BATCH_ROWS, 1]


async def test_a_job_that_fails_is_named_and_keeps_no_other_from_being_done(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    chore = RecordedJob(1)
    await build_cleanup(database, broken, chore.work).run_once()
    assert chore.batches == [1]
    (record,) = caplog.records
    assert (record.message, record.__dict__["operation"]) == ("housekeeping.failed", "chore 0")


async def test_one_replica_at_a_time_is_at_it(database: Database) -> None:
    chore = RecordedJob(1)
    async with database.reads.acquire() as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock($1)", cleanup.ADVISORY_LOCK)
        await build_cleanup(database, chore.work).run_once()
    assert chore.batches == []
    await build_cleanup(database, chore.work).run_once()
    assert chore.batches == [1]


async def test_it_goes_on_until_it_is_asked_to_stop(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "PERIOD_SECONDS", 0)
    rounds = asyncio.Semaphore(0)

    async def count(tx: Transaction, most: int) -> int:
        rounds.release()
        return 0

    task = asyncio.create_task(build_cleanup(database, count).run())
    async with asyncio.timeout(10):
        await rounds.acquire()
        await rounds.acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def start_cleanup(limiter: RateLimitFixture) -> CleanupWorker:
    throttle_cleanup = ThrottleCleanup(LoginAttemptRepository(), QuotaCounters("identity.quota"))
    return CleanupWorker(
        limiter.uow,
        {
            "unlock": throttle_cleanup.release_expired,
            "forget": throttle_cleanup.delete_stale,
        },
    )


@pytest.fixture
def limiter(database: Database) -> RateLimitFixture:
    return open_limiter(database)


async def test_r6_a_lock_that_no_one_tries_again_is_reported_to_be_over_once(
    limiter: RateLimitFixture,
) -> None:
    await limiter.attempt_wrongly_times(6)
    await start_cleanup(limiter).run_once()
    assert await limiter.events() == ["locked"]
    await limiter.pass_time(901)
    await asyncio.gather(
        start_cleanup(limiter).run_once(),
        start_cleanup(limiter).run_once(),
        limiter.attempt_wrongly(),
    )
    await start_cleanup(limiter).run_once()
    assert await limiter.events() == ["locked", "lock_expired"]


async def test_what_was_counted_is_forgotten_after_a_day(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(6)
    await limiter.pass_time(24 * 3600 - 60)
    await start_cleanup(limiter).run_once()
    assert await limiter.count_buckets() == 1
    await limiter.pass_time(120)
    await start_cleanup(limiter).run_once()
    assert await limiter.count_buckets() == 0
    assert await limiter.database.reads.fetchval("SELECT count(*) FROM identity.quota") == 0


async def test_who_was_turned_away_busy_leaves_nothing_behind(limiter: RateLimitFixture) -> None:
    for number in range(3):
        await limiter.release(await limiter.reserve(f"nobody{number}@example.com"))
    under_way = await limiter.reserve()
    await start_cleanup(limiter).run_once()
    assert await limiter.count_buckets() == 1
    await limiter.fail(under_way)
    await start_cleanup(limiter).run_once()
    assert (await limiter.row())["failures"] == 1
    assert await limiter.database.reads.fetchval("SELECT spent FROM identity.quota") == 1


async def test_a_success_after_a_lock_does_not_shorten_the_next_one(
    limiter: RateLimitFixture,
) -> None:
    await limiter.attempt_wrongly_times(6)
    await limiter.pass_time(901)
    await limiter.succeed(await limiter.reserve())
    await start_cleanup(limiter).run_once()
    assert (await limiter.row())["locks"] == 1
