"""A cached response serves all requests of some seconds."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from govid.nhs.practice_booking import SingleFlightCache


class Practice:
    """Counts what it is asked, and answers when a test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self) -> int:
        self.asked += 1
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return self.asked


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def practice() -> Practice:
    return Practice()


@pytest.fixture
def get(seconds: Seconds, practice: Practice) -> Callable[[str], Awaitable[int]]:
    cache = SingleFlightCache[str, int](10, seconds)
    return lambda key: cache.get(key, practice.answer)


@pytest.mark.parametrize(("later", "asked"), [(0.0, 1), (9.9, 1), (10.0, 2), (60.0, 2)])
async def test_e2_an_answer_is_valid_for_ten_seconds(
    get: Callable[[str], Awaitable[int]],
    seconds: Seconds,
    practice: Practice,
    later: float,
    asked: int,
) -> None:
    await get("monday")
    seconds.now = later
    assert await get("monday") == asked
    assert practice.asked == asked


async def test_e2_another_key_is_another_question(
    get: Callable[[str], Awaitable[int]], practice: Practice
) -> None:
    assert [await get("monday"), await get("tuesday"), await get("monday")] == [1, 2, 1]


async def test_e2_fifty_at_once_are_one_question(
    get: Callable[[str], Awaitable[int]], practice: Practice
) -> None:
    practice.may_answer.clear()
    asking = [asyncio.ensure_future(get("monday")) for _ in range(50)]
    asyncio.get_running_loop().call_soon(practice.may_answer.set)
    assert await asyncio.gather(*asking) == [1] * 50


async def test_e2_a_failure_is_reported_to_all_who_waited_and_not_kept(
    get: Callable[[str], Awaitable[int]], practice: Practice
) -> None:
    practice.failure = ConnectionError()
    first = await asyncio.gather(get("monday"), get("monday"), return_exceptions=True)
    practice.failure = None
    assert [type(one) for one in first] == [ConnectionError, ConnectionError]
    assert await get("monday") == 2


async def test_e2_who_gives_up_takes_the_answer_from_no_one(
    get: Callable[[str], Awaitable[int]], practice: Practice
) -> None:
    practice.may_answer.clear()
    one, other = (asyncio.ensure_future(get("monday")) for _ in range(2))
    asyncio.get_running_loop().call_soon(one.cancel)
    asyncio.get_running_loop().call_later(0, practice.may_answer.set)
    assert await other == 1
    assert one.cancelled()
