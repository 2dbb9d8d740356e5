"""Kafka is away for minutes while people go on booking; then it comes back, and goes again.

    python -m tests.chaos.outage --minutes 10

prints how people were served before and meanwhile, what the outage cost in attempts and in memory,
and how fast the backlog left; exits with 1 if a figure is not what it has to be.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import asyncpg
import httpx

from tests.backends import cluster, kafka
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.chaos.bookings import Bookings, p99s
from tests.faults import evidence

SETTLE_SECONDS = 120
FAREWELL_SECONDS = 10.0
"""How long a process may take to stop."""
TOPICS = ("nhs.appointment.request", "nhs.appointment.result")
LONG_TOKENS = {"GOVID_ACCESS_TOKEN_EXPIRE_MINUTES": "600"}
PENDING = "SELECT count(*) FROM bus.delivery WHERE subscriber = 'kafka.relay'"
EVENTS = "SELECT count(*) FROM bus.event"
SPENT = """
    SELECT (SELECT coalesce(sum(attempts), 0) FROM bus.parked), (SELECT count(*) FROM bus.parked),
           (SELECT count(*) FROM bus.dead)
"""


class Pace(NamedTuple):
    """What is asked of a run."""

    events_per_second: float
    window_seconds: float
    windows_before: int
    windows_away: int


async def run(govid: Govid, database_url: str, broker: kafka.Broker, pace: Pace) -> dict[str, Any]:
    """Play it all on a *govid* that is described and not yet started; return the figures."""
    govid.migrate()
    await asyncio.to_thread(govid.start)
    bookings = Bookings(govid.url, pace.events_per_second)
    await bookings.admit()
    connection: Any = await asyncpg.connect(database_url)
    try:
        async with _going_on(bookings):
            figures = await _with_people(govid, connection, broker, bookings, pace)
        await evidence.wait_until_settled(database_url, SETTLE_SECONDS)
        figures["left_afterwards"] = await connection.fetchval("SELECT count(*) FROM bus.delivery")
        figures["every_event_arrived_once_and_in_order"] = {
            topic: evidence.first_arrivals(evidence.published(broker.address, topic))
            for topic in TOPICS
        } == {topic: await evidence.stored(database_url, topic) for topic in TOPICS}
        figures["stopped_after_seconds"] = await _stop_without_kafka(govid, broker, bookings)
    finally:
        await connection.close()
    return figures


async def _with_people(
    govid: Govid, connection: Any, broker: kafka.Broker, bookings: Bookings, pace: Pace
) -> dict[str, Any]:
    window = pace.window_seconds
    # The first window warms up, and counts nowhere.
    await asyncio.sleep(window)
    before = time.monotonic()
    await asyncio.sleep(window * pace.windows_before)
    memory = govid.resident_mb()
    began, events = time.monotonic(), await connection.fetchval(EVENTS)
    await asyncio.to_thread(broker.kill)
    highest = await _highest_memory(govid, window * pace.windows_away)
    attempts, parked, dead = await connection.fetchrow(SPENT)
    ended, came = time.monotonic(), await connection.fetchval(EVENTS) - events
    arrivals = came / (ended - began)
    backlog = await connection.fetchval(PENDING)
    await asyncio.to_thread(broker.start)
    started = time.monotonic()
    await asyncio.to_thread(kafka.wait_until_ready, broker.address)
    answered = time.monotonic()
    drained = await _drained(connection, pace.events_per_second / 2)
    with_kafka = p99s(bookings.answers, before, began, window)
    without = p99s(bookings.answers, began, ended, window)
    refused = [a.status for a in bookings.answers if not httpx.codes.is_success(a.status)]
    rate = (backlog + arrivals * (drained - answered)) / (drained - answered)
    return {
        "minutes_away": round((ended - began) / 60, 2),
        "events_per_second": round(arrivals, 1),
        "requests": len(bookings.answers),
        "refused": len(refused),
        "attempts_spent": attempts,
        "parked": parked,
        "dead": dead,
        "p99_ms_before": with_kafka,
        "p99_ms_away": without,
        "p99_ratio": round(median(without) / median(with_kafka), 3),
        "memory_mb_before": round(memory, 1),
        "memory_growth_mb": round(highest - memory, 1),
        "backlog": backlog,
        "broker_started_in_seconds": round(answered - started, 1),
        "drained_in_seconds": round(drained - answered, 1),
        "drained_per_second": round(rate, 1),
        "drained_to_arrivals": round(rate / arrivals, 1),
    }


async def _highest_memory(govid: Govid, seconds: float) -> float:
    deadline = time.monotonic() + seconds
    highest = 0.0
    while time.monotonic() < deadline:
        highest = max(highest, govid.resident_mb())
        await asyncio.sleep(1)
    return highest


async def _drained(connection: Any, few: float) -> float:
    """Return when at most a *few* deliveries are pending for Kafka, or when time is up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and await connection.fetchval(PENDING) > few:
        await asyncio.sleep(0.05)
    return time.monotonic()


async def _stop_without_kafka(govid: Govid, broker: kafka.Broker, bookings: Bookings) -> float:
    """Take Kafka away once more, and ask govid to stop while people book."""
    async with _going_on(bookings):
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(5)
        began = time.monotonic()
        await asyncio.to_thread(govid.stop)
        return round(time.monotonic() - began, 1)


@asynccontextmanager
async def _going_on(bookings: Bookings) -> AsyncIterator[None]:
    people = asyncio.create_task(bookings.run())
    try:
        yield
    finally:
        people.cancel()
        await asyncio.wait([people])


def well(figures: dict[str, Any]) -> dict[str, bool]:
    """Tell of each promise whether it was kept."""
    return {
        "no_attempt_spent": figures["attempts_spent"] == 0,
        "nothing_dead": figures["dead"] == 0,
        "nobody_refused": figures["refused"] == 0,
        "as_fast_as_before": figures["p99_ratio"] <= 1.2,
        "memory_flat": figures["memory_growth_mb"] < 50,
        "drained_at_twice_the_rate": figures["drained_to_arrivals"] >= 2,
        "nothing_left": figures["left_afterwards"] == 0,
        "in_order": figures["every_event_arrived_once_and_in_order"],
        "stopped_in_time": figures["stopped_after_seconds"] <= FAREWELL_SECONDS,
    }


def main() -> int:
    """Run it on backends of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=10, help="how long Kafka is away")
    parser.add_argument("--before", type=int, default=5, help="minutes before that")
    parser.add_argument("--rate", type=float, default=50, help="events a second")
    parser.add_argument("--window", type=float, default=60, help="seconds of a 'minute'")
    options = parser.parse_args()
    pace = Pace(options.rate, options.window, options.before, options.minutes)
    with (
        tempfile.TemporaryDirectory(prefix="govid-outage-") as folder,
        cluster.server() as server,
        kafka.own() as broker,
    ):
        database_url = cluster.create(server, "outage")
        govid = Govid(
            Path(folder),
            database_url=database_url,
            kafka=broker.address,
            extra={**FLOOR_OF_HASHES, **LONG_TOKENS},
        )
        try:
            figures = asyncio.run(run(govid, database_url, broker, pace))
        finally:
            govid.stop()
    kept = well(figures)
    sys.stdout.write(json.dumps({**figures, "well": kept}, indent=2) + "\n")
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
