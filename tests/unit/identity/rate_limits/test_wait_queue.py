"""The wait queue: one request at a time for each key, in order, and none waits for ever."""

import asyncio

import pytest

from govid.identity.rate_limits import wait_queue
from govid.identity.rate_limits.wait_queue import QueueFull, WaitQueue


async def wait_in_queue(queue: WaitQueue, log: list[str], name: str, key: str = "a") -> None:
    async with queue.wait_for_slot(key, 10):
        log.append(f"{name} in")
        await asyncio.sleep(0)
        log.append(f"{name} out")


async def test_one_after_the_other_in_the_order_of_arrival() -> None:
    queue, log = WaitQueue(), list[str]()
    await asyncio.gather(*(wait_in_queue(queue, log, name) for name in "xyz"))
    assert log == ["x in", "x out", "y in", "y out", "z in", "z out"]


async def test_lines_for_different_things_do_not_wait_for_each_other() -> None:
    queue, log = WaitQueue(), list[str]()
    await asyncio.gather(wait_in_queue(queue, log, "x", "a"), wait_in_queue(queue, log, "y", "b"))
    assert log == ["x in", "y in", "x out", "y out"]


async def test_a_queue_that_no_one_waits_in_is_forgotten() -> None:
    queue, log = WaitQueue(), list[str]()
    await asyncio.gather(*(wait_in_queue(queue, log, name) for name in "xyz"))
    assert queue._queues == {}


async def test_a_line_that_is_too_long_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_queue, "MAX_WAITING", 1)
    queue = WaitQueue()
    async with queue.wait_for_slot("a", 10):
        with pytest.raises(QueueFull):
            await wait_in_queue(queue, [], "second")


async def test_who_does_not_get_to_the_head_in_time_gives_up() -> None:
    queue = WaitQueue()
    async with queue.wait_for_slot("a", 10):
        with pytest.raises(QueueFull):
            async with queue.wait_for_slot("a", 0.01):
                pytest.fail("no other may run beside the first")
    assert queue._queues == {}


async def test_the_head_is_woken_when_the_line_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_queue, "POLL_SECONDS", 60)
    queue = WaitQueue()
    async with queue.wait_for_slot("a", 60) as turn, asyncio.timeout(10):
        waiting = asyncio.create_task(turn.wait())
        await asyncio.sleep(0)
        queue.notify("a")
        await waiting


async def test_the_head_looks_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_queue, "POLL_SECONDS", 0.01)
    async with WaitQueue().wait_for_slot("a", 60) as turn, asyncio.timeout(10):
        await turn.wait()


async def test_the_head_gives_up_when_its_time_is_up() -> None:
    async with WaitQueue().wait_for_slot("a", 0) as turn:
        with pytest.raises(QueueFull):
            await turn.wait()


async def test_to_move_a_line_that_is_not_there_is_nothing() -> None:
    WaitQueue().notify("a")
