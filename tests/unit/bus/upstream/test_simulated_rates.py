"""A bucket lets through what its rate allows."""

from datetime import UTC, datetime, timedelta

from govid.bus.upstream.simulation import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


def test_it_holds_one_second_and_fills_evenly() -> None:
    clock = Clock()
    bucket = TokenBucket(5, clock)
    assert [bucket.try_acquire() for _ in range(6)] == [True] * 5 + [False]
    clock.time += timedelta(seconds=0.2)
    assert [bucket.try_acquire(), bucket.try_acquire()] == [True, False]


def test_no_more_than_a_second_is_saved_up() -> None:
    clock = Clock()
    bucket = TokenBucket(5, clock)
    clock.time += timedelta(hours=1)
    assert [bucket.try_acquire() for _ in range(6)] == [True] * 5 + [False]


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    clock = Clock()
    bucket = TokenBucket(2, clock)
    clock.time -= timedelta(hours=1)
    assert [bucket.try_acquire() for _ in range(3)] == [True, True, False]


def test_without_a_rate_everything_passes() -> None:
    bucket = TokenBucket(None, Clock())
    assert [bucket.try_acquire() for _ in range(100)] == [True] * 100
