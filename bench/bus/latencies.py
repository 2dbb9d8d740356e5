"""How long an event takes from its COMMIT to Kafka's acknowledgement, and to Kafka's readers.

PostgreSQL says when a COMMIT was written and when the acknowledgement was noted; the reader says
when it got the record, by the clock of the same machine. aiokafka alone is timed from `send`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from itertools import chain
from time import time
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer

from bench.bus import kafka_baseline
from bench.bus.bus_under_test import BenchBackends, BusUnderTest, bench_backends, run
from bench.bus.kafka_reader import reading
from bench.bus.ledger import Ledger, LedgerMismatch, fetch, settled
from bench.numbers import percentile
from govid.bus.events import Topic, VerificationRequested

IDLE_PER_SECOND = 20
BUSY_PER_SECOND = 200
ACCOUNTS = 100
WARM_UP = 40
LONGEST_BACKLOG_SECONDS = 0.5
"""The backlog is unstable if it is larger at the end of a round than what arises in this time."""
COMMITS = """
    SELECT e.id::text AS id,
           extract(epoch FROM pg_xact_commit_timestamp(e.xmin))::float8 AS committed,
           extract(epoch FROM r.handled_at)::float8 AS acknowledged
    FROM bus.event e JOIN bus.receipt r ON r.event_id = e.id
    ORDER BY e.pos OFFSET $1
"""
PENDING = "SELECT count(*) FROM bus.delivery"

Times = list[float]


def measure_idle(*, rounds: int, seconds: int) -> dict[str, Any]:
    """Measure to a consumer, a few events a second."""
    ours, theirs = _rounds(rounds, IDLE_PER_SECOND * seconds, IDLE_PER_SECOND, to_consumer=True)
    return _summary(IDLE_PER_SECOND, ours, theirs)


def measure_paced(*, rounds: int, seconds: int) -> dict[str, Any]:
    """Measure to the acknowledgement, two hundred events a second."""
    ours, theirs = _rounds(rounds, BUSY_PER_SECOND * seconds, BUSY_PER_SECOND, to_consumer=False)
    return _summary(BUSY_PER_SECOND, ours, theirs)


def _rounds(
    rounds: int, events: int, pace: float, *, to_consumer: bool
) -> tuple[list[Times], list[Times]]:
    ours, theirs = [], []
    with bench_backends(needs_kafka=True) as servers:
        for _ in range(rounds):
            hub, ledger = BusUnderTest(servers.settings()), Ledger(ACCOUNTS)
            topic = hub.settings.wire_name(Topic.VERIFICATION_REQUEST)
            said = [ledger.request() for _ in range(WARM_UP + events)]
            ours.append(run(_through_govid(hub, said, pace, topic, to_consumer=to_consumer)))
            ledger.compare_records(servers.kafka, topic)
            theirs.append(run(_alone(servers, topic, pace, to_consumer=to_consumer)))
    return ours, theirs


async def _through_govid(
    hub: BusUnderTest,
    said: Sequence[VerificationRequested],
    pace: float,
    topic: str,
    *,
    to_consumer: bool,
) -> Times:
    url = hub.settings.database_url
    turns: dict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def emit(event: VerificationRequested) -> None:
        # Where a commit takes longer than the account's next event, that one has to wait its turn.
        async with turns[event.user_id]:
            await hub.emit(event)

    async with hub.run():
        await _healthy(hub)
        async with reading(hub.settings.kafka_bootstrap_servers, topic, to_consumer) as arrivals:
            await _at_pace(pace, said, emit)
            pending = (await fetch(url, PENDING))[0][0]
            if pending > pace * LONGEST_BACKLOG_SECONDS:
                raise LedgerMismatch(
                    f"the backlog grows: {pending} deliveries are pending at the end"
                )
            await hub.wait_until_drained()
            arrived = await arrivals.all(len(said)) if arrivals else {}
    await settled(url, len(said), receipts=len(said))
    rows = await fetch(url, COMMITS, WARM_UP)
    return [1000 * (arrived.get(row["id"], row["acknowledged"]) - row["committed"]) for row in rows]


async def _alone(servers: BenchBackends, topic: str, pace: float, *, to_consumer: bool) -> Times:
    """Send the records of *topic* again, without govid, at the same pace."""
    records = kafka_baseline.records(servers.kafka, topic)
    again = f"{topic}.alone"
    sent: list[float] = []
    acknowledged: list[float] = []
    async with (
        kafka_baseline.producing(servers.kafka, again) as producer,
        reading(servers.kafka, again, to_consumer) as arrivals,
    ):

        async def send(record: kafka_baseline.Record) -> None:
            n = len(sent)
            sent.append(time())
            acknowledged.append(0.0)
            await _send(producer, again, n, record)
            acknowledged[n] = time()

        await _at_pace(pace, records, send)
        arrived = await arrivals.all(len(records)) if arrivals else {}
    ends = [arrived[str(n)] for n in range(len(records))] if arrived else acknowledged
    return [1000 * (end - began) for began, end in zip(sent, ends, strict=True)][WARM_UP:]


async def _send(
    producer: AIOKafkaProducer, topic: str, n: int, record: kafka_baseline.Record
) -> None:
    headers = [(name, text) for name, text in record.headers if name != "ce_id"]
    await producer.send_and_wait(
        topic,
        record.value,
        record.key,
        record.partition,
        headers=[*headers, ("ce_id", str(n).encode())],
    )


async def _at_pace(
    pace: float, things: Sequence[Any], do: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    """Do something about each of *things*, so many a second, however long each takes."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.TaskGroup() as group:
        for n, thing in enumerate(things):
            await asyncio.sleep(began + n / pace - clock())
            group.create_task(do(thing))


async def _healthy(hub: BusUnderTest) -> None:
    async with asyncio.timeout(20):
        while hub.bus.health()["kafka"] != "ok":  # noqa: ASYNC110 - it is asked, and does not tell
            await asyncio.sleep(0.02)


def _summary(pace: float, ours: list[Times], theirs: list[Times]) -> dict[str, Any]:
    mine, alones = (list(chain(*rounds)) for rounds in (ours, theirs))
    return {
        "per_second": pace,
        "events": len(mine),
        "p50_ms": round(percentile(mine, 50), 2),
        "p99_ms": round(percentile(mine, 99), 2),
        "max_ms": round(max(mine), 2),
        "aiokafka_p50_ms": round(percentile(alones, 50), 2),
        "aiokafka_p99_ms": round(percentile(alones, 99), 2),
        "aiokafka_max_ms": round(max(alones), 2),
        "each_round": [
            [round(percentile(times, percent), 2) for times in pair for percent in (50, 99)]
            for pair in zip(ours, theirs, strict=True)
        ],
    }
