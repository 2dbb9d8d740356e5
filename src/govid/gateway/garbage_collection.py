"""Shortens and measures the pauses of Python's garbage collector.

A collection of the oldest generation visits every object that survived, while nothing is served. In
a running govid these are about 300,000 objects that live as long as the process: modules, classes,
routes and schemas. They are frozen once everything has started, so that later collections visit
only newer objects.
"""

import gc
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25)
GENERATIONS = 3
THRESHOLDS = (5_000, 10, 20)
"""Allocations before a young collection, young ones before a middle one, middle before a full one.

A request leaves about 150 objects in cycles and needs some thousands while it runs. With Python's
default of 700, each request caused several young collections that found its objects still in use
and moved them to the older generations. A million allocations between two full collections are
about one second of full load, and delay the collection of a few megabytes.
"""


class GcPauseHistogram(Collector):
    """A histogram of garbage-collector pauses by generation.

    It counts in plain lists: a collection may begin anywhere, also while a metric of the library
    holds its lock.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register in *registry*; nothing is counted before `shorten_gc_pauses`."""
        self._counts = [[0] * (len(BUCKETS) + 1) for _ in range(GENERATIONS)]
        self._sums = [0.0] * GENERATIONS
        self._began_at = 0.0
        registry.register(self)

    def record_phase(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        """Record the start or the end of a collection (callback of `gc`)."""
        if phase == "start":
            self._began_at = perf_counter()
            return
        seconds = perf_counter() - self._began_at
        generation = info["generation"]
        self._counts[generation][bisect_left(BUCKETS, seconds)] += 1
        self._sums[generation] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return the histogram."""
        family = HistogramMetricFamily(
            "govid_gc_pause_seconds",
            "Duration of pauses by Python's garbage collector.",
            labels=["generation"],
        )
        for generation, counts in enumerate(self._counts):
            reached, buckets = 0, []
            for limit, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                reached += count
                buckets.append((limit, reached))
            family.add_metric([str(generation)], buckets, self._sums[generation])
        yield family


@contextmanager
def shorten_gc_pauses(pauses: GcPauseHistogram) -> Iterator[None]:
    """Freeze all existing objects and record pauses in *pauses* while the block runs."""
    before = gc.get_threshold()
    # Garbage that is frozen would never be freed, so it is collected first.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(pauses.record_phase)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        gc.callbacks.remove(pauses.record_phase)
