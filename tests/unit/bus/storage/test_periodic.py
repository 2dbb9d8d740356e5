"""The periodic loop: rounds, failures, and what its log lines hold."""

import asyncio
import logging
from collections.abc import Callable

import asyncpg
import pytest
from sqlalchemy.exc import OperationalError

from govid.bus.storage.workers import PeriodicWorker


class Rounds:
    """Does what it was given, a thing a round, and then sleeps for ever."""

    def __init__(self, *outcomes: bool | Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.exhausted = asyncio.Event()

    async def run(self) -> bool | None:
        if not self.outcomes:
            self.exhausted.set()
            await asyncio.Event().wait()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def run_through(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch, worker: PeriodicWorker
) -> list[float]:
    """Run *worker* until *rounds* are exhausted; return for how long it slept between them."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("govid.bus.storage.workers.asyncio.sleep", sleep)
    task = asyncio.create_task(worker.run())
    await rounds.exhausted.wait()
    task.cancel()
    await asyncio.wait([task])
    return slept


async def test_complete_round_is_followed_by_a_period(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds(None, True)
    worker = PeriodicWorker(rounds.run, 60, failure_event="x.failed", retry_seconds=1)
    assert await run_through(rounds, monkeypatch, worker) == [60, 60]


async def test_incomplete_round_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds(False, True)
    worker = PeriodicWorker(rounds.run, 60, failure_event="x.failed", retry_seconds=1)
    assert await run_through(rounds, monkeypatch, worker) == [1, 60]


async def test_first_round_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    worker = PeriodicWorker(rounds.run, 60, failure_event="x.failed", waits_first=True)
    assert await run_through(rounds, monkeypatch, worker) == [60]


@pytest.mark.parametrize(
    "fail",
    [
        lambda: ConnectionRefusedError("AB123456C"),
        lambda: asyncpg.InsufficientPrivilegeError("AB123456C"),
        lambda: asyncpg.InterfaceError("AB123456C"),
        lambda: OperationalError("SELECT 1", None, asyncpg.DiskFullError("AB123456C")),
    ],
)
async def test_failed_round_is_logged_without_its_text_and_tried_again(
    fail: Callable[[], Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = Rounds(fail(), None)
    worker = PeriodicWorker(
        rounds.run, 60, failure_event="x.failed", failure_members={"operation": "y"}
    )
    with caplog.at_level(logging.WARNING):
        assert await run_through(rounds, monkeypatch, worker) == [60, 60]
    (line,) = caplog.records
    assert (line.message, line.__dict__["operation"]) == ("x.failed", "y")
    assert "AB123456C" not in str(line.__dict__)


async def test_failed_round_does_not_count_as_success() -> None:
    rounds = Rounds(TimeoutError())
    worker = PeriodicWorker(rounds.run, 60, failure_event="x.failed")
    before = worker.succeeded_at
    assert not await worker.run_once()
    assert worker.succeeded_at == before


async def test_success_is_dated() -> None:
    worker = PeriodicWorker(Rounds(None).run, 60, failure_event="x.failed")
    before = worker.succeeded_at
    assert await worker.run_once()
    assert worker.succeeded_at >= before


async def test_error_of_the_program_ends_the_worker() -> None:
    worker = PeriodicWorker(Rounds(ZeroDivisionError()).run, 60, failure_event="x.failed")
    with pytest.raises(ZeroDivisionError):
        await worker.run()
