"""What reads and other keys notice of 100,000 parked events, or of 200,000 dead rows."""

from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter
from typing import Any

import msgspec

from bench.bus.bus_under_test import bench_backends, run
from govid.bus import BusSettings, Database
from govid.bus.delivery.backlog import Backlog
from govid.bus.delivery.subscriptions import BUCKETS
from govid.bus.kafka.relay import RelayBacklog
from tests.integration.bus.blocked_key_backlog import measure_seconds, replica_with_blocked_key
from tests.integration.bus.dead_rows import dead_rows
from tests.integration.bus.harness import NAME, BusFixture, an_account, create_ledger
from tests.integration.bus.signalling_handler import SignallingHandler

BEHIND = 100_000
DEAD_ROWS = 200_000
EVENTS_A_ROUND = 100
READS = 20
OWNED = dict.fromkeys(range(BUCKETS), 1)


def measure(*, rounds: int) -> dict[str, Any]:
    """Compare two replicas' median latencies, event by event in turn: both bear the same load."""
    with bench_backends(needs_kafka=False) as servers:
        ratios = run(_compare(servers.settings(), servers.settings(), rounds))
        module, relay = run(_read(servers.settings()))
    return {
        "behind": BEHIND,
        "ratios": ratios,
        "ratio": median(ratios),
        "dead_rows": DEAD_ROWS,
        "module_read_ms": module,
        "relay_read_ms": relay,
        "slowest_read_ms": max(module, relay),
    }


async def _compare(free: BusSettings, burdened: BusSettings, rounds: int) -> list[float]:
    async with (
        replica_with_blocked_key(free, behind=0) as one,
        replica_with_blocked_key(burdened, behind=BEHIND) as other,
    ):
        return [await _ratio(other, one) for _ in range(rounds)]


async def _ratio(one: BusFixture, other: BusFixture) -> float:
    pairs = [
        (await measure_seconds(one), await measure_seconds(other)) for _ in range(EVENTS_A_ROUND)
    ]
    ones, others = zip(*pairs, strict=True)
    return median(ones) / median(others)


async def _read(settings: BusSettings) -> tuple[float, float]:
    always = msgspec.structs.replace(settings, poll_seconds=0)
    await create_ledger(settings.database_url)
    async with Database(always) as database:
        replica = BusFixture(always, database, SignallingHandler())
        backlog, debts = Backlog(NAME, always, database), RelayBacklog(always, database)
        async with dead_rows(settings, database, DEAD_ROWS):
            await replica.emit(an_account(), "a")
            return (
                await _milliseconds(lambda: backlog.fetch_all(OWNED, ())),
                await _milliseconds(lambda: debts.fetch_due(OWNED, (), ())),
            )


async def _milliseconds(read: Callable[[], Awaitable[Any]]) -> float:
    taken = []
    for _ in range(READS):
        began = perf_counter()
        await read()
        taken.append((perf_counter() - began) * 1000)
    return median(taken)
