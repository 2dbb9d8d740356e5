"""Percentiles, and the targets of the figures."""

import math
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from typing import Any, NamedTuple


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of *values* that at least *percent* of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


class Target(NamedTuple):
    """A promise: the figure at *path* in the results is at least, or at most, *limit*."""

    name: str
    path: str
    comparison: str
    limit: float


TARGETS = (
    Target("profile, requests/s: govid / floor", "profile.govid_to_floor", ">=", 1.2),
    Target("profile p99: govid / floor", "profile.p99_to_floor", "<=", 0.6),
    Target("profile p99, ms", "profile.govid.p99_ms", "<=", 25),
    Target("profile: collections of the oldest generation > 20 ms", "profile.long_pauses", "<=", 0),
    Target("profile, requests/s: govid / prototype", "profile.govid_to_prototype", ">=", 5),
    Target("profile, requests/s: TLS to PostgreSQL / none", "profile-tls.to_plaintext", ">=", 0.9),
    Target("registered to verified, p50 ms", "registration.p50_ms", "<=", 15),
    Target("registered to verified, p99 ms", "registration.p99_ms", "<=", 60),
    Target("profile p99, under 20 logins / idle", "logins.p99_ratio", "<=", 3),
    Target("refused sign-ins: spread of medians, %", "timing.spread_percent", "<=", 10),
    Target("links asked for: spread of medians, %", "timing.reset_spread_percent", "<=", 10),
    Target("resident memory at rest, MB", "resources.resident_mb", "<=", 200),
    Target("govid serve ready, s", "resources.serve_ready_seconds", "<=", 2),
    Target("govid dev ready from nothing, s", "resources.dev_ready_seconds", "<=", 5),
    Target("govid dev ready again, s", "resources.dev_ready_again_seconds", "<=", 2),
    Target("govid --help, s", "resources.help_seconds", "<=", 0.5),
    Target("through handlers, events/s", "handlers.events_per_second", ">=", 2_500),
    Target("through handlers, events/s: govid / bare INSERTs", "handlers.to_bare", ">=", 0.5),
    Target("to Kafka, events/s", "kafka.events_per_second", ">=", 10_000),
    Target("to Kafka, events/s: govid / aiokafka", "kafka.to_aiokafka", ">=", 0.25),
    Target("to Kafka, events/s: TLS and SCRAM / plaintext", "kafka-tls.to_plaintext", ">=", 0.85),
    Target("idle, commit to consumer, p50 ms", "idle.p50_ms", "<=", 10),
    Target("at 200 events/s, commit to ack, p99 ms", "paced.p99_ms", "<=", 40),
    Target("latency: beside a parked key with 100,000 behind / free", "isolation.ratio", "<=", 1.1),
    Target("read past 200,000 dead rows, ms", "isolation.slowest_read_ms", "<=", 50),
    Target("14 largest exports at once: resident memory, MB", "exports.resident_mb", "<=", 400),
    Target("14 largest exports at once: health p99, ms", "exports.health_p99_ms", "<=", 50),
    Target("verified by HMRC, p50: NHS in trouble / there", "departments.ratio", "<=", 1.1),
)


def evaluate(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each target whose figure was measured, with the figure, and whether it is met."""
    verdicts = []
    for target in TARGETS:
        part, *figure = target.path.split(".")
        if part not in results:
            continue
        value = reduce(getitem, figure, results[part])
        is_met = value >= target.limit if target.comparison == ">=" else value <= target.limit
        verdicts.append({**target._asdict(), "value": value, "met": is_met})
    return verdicts
