"""Keeps the pauses of Python's garbage collector short, and measures them.

A collection of the oldest generation visits every object that survived, in one go, while nothing is
served. Of a running govid these are about 300,000 objects that live as long as the process:
modules, classes, routes and schemas. They are frozen once everything has started, so that later
collections visit only what came afterwards.
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
700 each request paid for several young collections that found its objects still in use, and moved
them on to the older generations. A million allocations between two full collections are about a
second of full load, and let garbage of a few megabytes wait.
"""


class CollectionPauses(Collector):
    """A histogram of pauses by generation.

    It counts in plain lists: a collection may begin anywhere, also where a metric of the library
    holds its lock.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """Stand on *registry*, and count nothing before `keep_pauses_short`."""
        self._counts = [[0] * (len(BUCKETS) + 1) for _ in range(GENERATIONS)]
        self._sums = [0.0] * GENERATIONS
        self._began = 0.0
        registry.register(self)

    def note(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        """Take what the collector tells its callbacks."""
        if phase == "start":
            self._began = perf_counter()
            return
        seconds = perf_counter() - self._began
        generation = info["generation"]
        self._counts[generation][bisect_left(BUCKETS, seconds)] += 1
        self._sums[generation] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return the histogram."""
        family = HistogramMetricFamily(
            "govid_gc_pause_seconds",
            "How long Python's garbage collector stopped everything.",
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
def keep_pauses_short(pauses: CollectionPauses) -> Iterator[None]:
    """Freeze what has been built, and measure with *pauses*, for the length of a block."""
    before = gc.get_threshold()
    # What is garbage now would stay for ever if it were frozen.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(pauses.note)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        gc.callbacks.remove(pauses.note)
