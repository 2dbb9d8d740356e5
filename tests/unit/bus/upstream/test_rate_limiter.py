"""One rate limit for several APIs, with a share that only some of them may use."""

import asyncio

import pytest

from govid.bus.upstream import RequestLimiter, rate_limited


async def left_in(limiter: RequestLimiter, seconds: float) -> int:
    """Return how many calls leave in so many seconds, if there are always more."""
    left = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                await limiter.acquire()
                left += 1
    except TimeoutError:
        return left


@pytest.mark.parametrize("per_second", [None, 0])
def test_without_a_rate_there_is_no_limit(per_second: float | None) -> None:
    assert rate_limited(per_second) is None


@pytest.mark.parametrize(("per_second", "reserved"), [(50, 20), (100, 40), (30, 10)])
async def test_e2_lesser_calls_leave_turns_to_the_others(
    per_second: float, reserved: float
) -> None:
    whole = RequestLimiter(per_second)
    assert await left_in(whole.with_reserve(reserved), 0.5) <= (per_second - reserved) * 0.5 + 1


@pytest.mark.parametrize("lesser_callers", [1, 5, 50])
async def test_e2_all_together_stay_within_the_whole_rate(lesser_callers: int) -> None:
    whole = RequestLimiter(50)
    lesser = whole.with_reserve(20)
    left = await asyncio.gather(
        left_in(whole, 0.5), *(left_in(lesser, 0.5) for _ in range(lesser_callers))
    )
    assert sum(left) <= 50 * 0.5 + 1
    assert left[0] >= 7
