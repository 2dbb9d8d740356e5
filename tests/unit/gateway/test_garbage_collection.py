"""The garbage collector: frozen after the start, still at work, and measured."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from govid.gateway.garbage_collection import THRESHOLDS, GcPauseHistogram, shorten_gc_pauses


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    with shorten_gc_pauses(GcPauseHistogram(registry)):
        yield registry


def counted(registry: CollectorRegistry, generation: int) -> float:
    """Return how many pauses of *generation* were measured."""
    found = registry.get_sample_value(
        "govid_gc_pause_seconds_count", {"generation": str(generation)}
    )
    assert found is not None
    return found


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_each_collection_is_counted_by_its_generation(
    registry: CollectorRegistry, generation: int
) -> None:
    before = counted(registry, generation)
    gc.collect(generation)
    assert counted(registry, generation) == before + 1


def test_what_was_built_before_is_frozen(registry: CollectorRegistry) -> None:
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == THRESHOLDS
    assert gc.isenabled()
    assert counted(registry, 2) == 0


def test_garbage_is_still_collected(registry: CollectorRegistry) -> None:
    class Node:
        def __init__(self) -> None:
            self.itself = self

    lost = weakref.ref(Node())
    assert lost() is not None
    gc.collect()
    assert lost() is None
    assert counted(registry, 2) == 1


def test_afterwards_all_is_as_before() -> None:
    before = gc.get_threshold(), len(gc.callbacks)
    with shorten_gc_pauses(GcPauseHistogram(CollectorRegistry())):
        pass
    assert (gc.get_threshold(), len(gc.callbacks)) == before
    assert gc.get_freeze_count() == 0
