"""Faults come when they are asked for, in the share that was asked for."""

import pytest

from govid.bus.simulation import Fault, Faults


def test_without_a_word_nothing_goes_wrong() -> None:
    assert Faults().draw() is None


def test_a_fault_without_a_share_meets_every_call() -> None:
    faults = Faults("timeout")
    assert [faults.draw() for _ in range(3)] == [Fault.TIMEOUT] * 3


def test_a_share_is_kept_and_a_seed_repeats_a_run() -> None:
    first, second = Faults("503:0.2", seed=7), Faults("503:0.2", seed=7)
    drawn = [first.draw() for _ in range(1000)]
    assert drawn == [second.draw() for _ in range(1000)]
    assert 150 < drawn.count(Fault.AWAY) < 250


def test_it_can_be_changed_and_ended_while_it_runs() -> None:
    faults = Faults("429")
    faults.set("malformed")
    assert faults.draw() is Fault.MALFORMED
    faults.set("")
    assert faults.draw() is None


@pytest.mark.parametrize("text", ["404", "503:2", "503:-1", "503:x", "503:nan", ":1"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Faults(text)
