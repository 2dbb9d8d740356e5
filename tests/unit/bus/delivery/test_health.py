"""C9: since when the rounds of a dispatcher fail."""

import pytest

from govid.bus.delivery.health import DispatcherHealth


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "failing", "ready"),
    [
        (0.0, False, True),
        (14.9, False, True),
        (15.0, True, True),
        (59.9, True, True),
        (60.0, True, False),
    ],
)
def test_c9_failing_after_15_seconds_and_not_ready_after_60(
    seconds: float, failing: bool, ready: bool
) -> None:
    clock = Clock()
    health = DispatcherHealth(clock)
    health.record_failure("nhs.verification")
    clock.now += seconds
    health.record_failure("nhs.verification")
    assert (health.is_failing, health.is_ready) == (failing, ready)


def test_c9_one_success_ends_it() -> None:
    clock = Clock()
    health = DispatcherHealth(clock)
    health.record_failure("nhs.verification")
    clock.now += 70
    health.record_success("nhs.verification")
    assert (health.failing_seconds, health.is_failing, health.is_ready) == (0, False, True)


def test_c9_success_of_one_subscriber_does_not_hide_another() -> None:
    clock = Clock()
    health = DispatcherHealth(clock)
    health.record_failure("nhs.verification")
    clock.now += 20
    health.record_success("hmrc.verification")
    assert health.is_failing


@pytest.mark.parametrize(("pause", "failing"), [(0.5, True), (4.9, True), (5.0, False)])
def test_c9_round_without_work_ends_a_failure_after_a_while(pause: float, failing: bool) -> None:
    clock = Clock()
    health = DispatcherHealth(clock)
    health.record_failure("nhs.verification")
    clock.now += 20
    health.record_failure("nhs.verification")
    clock.now += pause
    health.record_idle("nhs.verification")
    assert health.is_failing is failing
