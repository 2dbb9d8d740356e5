"""A worker begins again whatever ends it, a cancellation that nobody asked for included."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from govid.bus.storage import supervision
from govid.bus.storage.supervision import supervise


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RESTART_SECONDS", 0)


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

    await asyncio.wait_for(supervise("kafka relay", work), 10)
    assert rounds == [0, 1, 2]
    told = [one for one in caplog.records if one.message == "bus.worker_failed"]
    assert [one.worker for one in told] == ["kafka relay"] * 2  # type: ignore[attr-defined]


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

    monkeypatch.setattr(supervision, "RESTART_SECONDS", 60)
    task = asyncio.create_task(supervise("kafka relay", work))
    await begun.wait()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
