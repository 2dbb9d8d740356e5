"""Faults come when they are asked for, in the share that was asked for."""

import pytest

from govid.bus.upstream.simulation import FaultInjector, InjectedFault


def test_without_a_word_nothing_goes_wrong() -> None:
    assert FaultInjector().next_fault() is None


def test_a_fault_without_a_share_meets_every_call() -> None:
    faults = FaultInjector("timeout")
    assert [faults.next_fault() for _ in range(3)] == [InjectedFault.TIMEOUT] * 3


def test_a_share_is_kept_and_a_seed_repeats_a_run() -> None:
    first, second = FaultInjector("503:0.2", seed=7), FaultInjector("503:0.2", seed=7)
    drawn = [first.next_fault() for _ in range(1000)]
    assert drawn == [second.next_fault() for _ in range(1000)]
    assert 150 < drawn.count(InjectedFault.UNAVAILABLE) < 250


def test_it_can_be_changed_and_ended_while_it_runs() -> None:
    faults = FaultInjector("429")
    faults.set_fault("malformed")
    assert faults.next_fault() is InjectedFault.MALFORMED
    faults.set_fault("")
    assert faults.next_fault() is None


@pytest.mark.parametrize("text", ["404", "503:2", "503:-1", "503:x", "503:nan", ":1"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        FaultInjector(text)
