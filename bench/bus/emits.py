"""How many transactions a second commit with an event, beside a bare INSERT of the same bytes."""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg

from bench.bus.bus_under_test import BusUnderTest, bench_backends, run
from bench.bus.handlers import Notes
from bench.bus.ledger import Ledger, LedgerMismatch, fetch, settled
from govid.bus import BusSettings, Subscriber
from govid.bus.events import VerificationRequested

EVENTS_PER_SECOND = 1_500
"""How many events stand for one second of a round."""
ACCOUNTS = 1_000
BARE = """
    CREATE TABLE bare (
        id uuid PRIMARY KEY, type text, key text, payload json, headers jsonb,
        occurred_at timestamptz)
"""
SAME_BYTES = """
    SELECT gen_random_uuid(), type, key, payload::text AS payload, headers::text AS headers,
           occurred_at
    FROM bus.event
"""
INSERT = "INSERT INTO bare VALUES ($1, $2, $3, $4, $5, $6)"
STORED = """
    SELECT payload ->> 'userId' AS account, seq::int AS number FROM bus.event ORDER BY pos
"""
# With Kafka it has two addressees, as most events have. Nothing is delivered meanwhile.
CONSUMER = Subscriber(name="bench.notes", handles=(VerificationRequested,), handler=Notes())


def measure(*, rounds: int, seconds: int) -> dict[str, Any]:
    """Commit with an event, and insert a row of its size, in turn; return the medians."""
    events = EVENTS_PER_SECOND * seconds
    ours, bare = [], []
    with bench_backends(needs_kafka=False) as servers:
        run(_emitted(servers.settings(), EVENTS_PER_SECOND))
        for _ in range(rounds):
            settings = servers.settings()
            ours.append(run(_emitted(settings, events)))
            bare.append(run(_inserted(settings)))
    return {
        "events_per_second": round(median(ours), 1),
        "bare_inserts_per_second": round(median(bare), 1),
        "to_bare": round(median(ours) / median(bare), 3),
        "each_round": [[round(a), round(b)] for a, b in zip(ours, bare, strict=True)],
        "events": events,
        "accounts": ACCOUNTS,
        "deliveries_an_event": 2,
        "rounds": rounds,
    }


async def _emitted(settings: BusSettings, events: int) -> float:
    hub, ledger = BusUnderTest(settings, CONSUMER), Ledger(ACCOUNTS)
    said = [ledger.request() for _ in range(events)]
    said.reverse()

    async def write(event: VerificationRequested) -> None:
        await hub.emit(event)

    async with hub.bus.database:
        rate = await _side_by_side(settings.request_pool_size, said, write)
    await settled(settings.database_url, events, receipts=0, pending=2 * events)
    rows = await fetch(settings.database_url, STORED)
    ledger.compare("stored events", ((row["account"], row["number"]) for row in rows))
    return rate


async def _inserted(settings: BusSettings) -> float:
    """Insert rows with the bytes of the events that were just stored, and nothing else."""
    rows = [tuple(row.values()) for row in await fetch(settings.database_url, SAME_BYTES)]
    size = settings.request_pool_size
    async with asyncpg.create_pool(settings.database_url, min_size=size, max_size=size) as pool:

        async def write(row: tuple[Any, ...]) -> None:
            await pool.execute(INSERT, *row)

        await pool.execute(BARE)
        count = len(rows)
        rate = await _side_by_side(size, rows, write)
        if await pool.fetchval("SELECT count(*) FROM bare") != count:
            raise LedgerMismatch("a bare row is missing")
    return rate


async def _side_by_side(
    at_a_time: int, work: list[Any], do: Callable[[Any], Awaitable[None]]
) -> float:
    """Do all of *work*, so much *at_a_time*; return how much a second."""
    count = len(work)

    async def worker() -> None:
        while work:
            await do(work.pop())

    began = perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_a_time)))
    return count / (perf_counter() - began)
