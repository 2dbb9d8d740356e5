"""A worker restarts whatever ends it, an unrequested cancellation included."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from govid.bus.storage import workers
from govid.bus.storage.workers import supervise_worker


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "RESTART_SECONDS", 0)


def cancelled_future() -> asyncio.Future[None]:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return future


async def raises() -> None:
    raise ValueError


async def awaits_a_cancelled_future() -> None:
    await cancelled_future()


async def awaits_a_cancelled_task() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.shield(task)


async def gathers_something_cancelled() -> None:
    await asyncio.gather(asyncio.sleep(0), cancelled_future())


async def is_cancelled_beside_a_timeout() -> None:
    async with asyncio.timeout(60):
        await cancelled_future()


ENDS = [
    raises,
    awaits_a_cancelled_future,
    awaits_a_cancelled_task,
    gathers_something_cancelled,
    is_cancelled_beside_a_timeout,
]


@pytest.mark.parametrize("end", ENDS)
async def test_c1_a_worker_begins_again_whatever_ends_it(
    end: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    rounds: list[int] = []

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) < 3:
            await end()

    await asyncio.wait_for(supervise_worker("kafka relay", work), 10)
    assert rounds == [0, 1, 2]
    reported = [one for one in caplog.records if one.message == "bus.worker_failed"]
    # The same failure again at once is not logged again.
    assert [one.worker for one in reported] == ["kafka relay"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("moment", ["at work", "between two attempts"])
async def test_c1_a_worker_that_is_cancelled_ends(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        if moment == "at work":
            await asyncio.sleep(60)
        raise ValueError

    monkeypatch.setattr(workers, "RESTART_SECONDS", 60)
    task = asyncio.create_task(supervise_worker("kafka relay", work))
    await begun.wait()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()


@pytest.mark.parametrize(
    ("seconds", "errors", "lines", "pauses"),
    [
        (0, [ValueError, ValueError, KeyError], 2, [0.5, 1.0, 2.0]),
        (0, [ValueError] * 4, 1, [0.5, 1.0, 2.0, 2.0]),
        (11, [ValueError] * 4, 2, [0.5, 0.5, 0.5, 0.5]),
        (31, [ValueError] * 3, 3, [0.5, 0.5, 0.5]),
    ],
)
async def test_c1_a_worker_that_fails_at_once_waits_longer_and_is_reported_rarely(
    seconds: float,
    errors: list[type[Exception]],
    lines: int,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, paused, left = 0.0, [], list(errors)

    async def sleep(pause: float) -> None:
        paused.append(pause)

    async def work() -> None:
        nonlocal now
        now += seconds
        if left:
            raise left.pop(0)

    monkeypatch.setattr(workers, "RESTART_SECONDS", 0.5)
    monkeypatch.setattr(workers, "monotonic", lambda: now)
    monkeypatch.setattr(workers.asyncio, "sleep", sleep)
    await supervise_worker("kafka relay", work)
    assert paused == pauses
    assert len([one for one in caplog.records if one.message == "bus.worker_failed"]) == lines
