"""One run: replicas, writers, an outsider, and the faults of a seed; then quiet, and the books."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import make_url

from govid.bus import BusSettings, SystemClock
from govid.bus.contracts import Topic
from govid.bus.runtime import Bus
from govid.bus.wake import Notifier
from tests.backends import postgres
from tests.chaos import evidence
from tests.chaos.checker import Verdict, judge
from tests.chaos.consumers import SCHEMA, Moods, module
from tests.chaos.faults import Cast, inflict
from tests.chaos.outsider import Outsider
from tests.chaos.plan import ACCOUNTS, HANDLERS, LEASE_SECONDS, REPLICAS, Plan
from tests.chaos.proxy import Proxy
from tests.chaos.replicas import Replica, running
from tests.chaos.stage import Stage
from tests.chaos.verification import Proof, verify
from tests.chaos.writers import APPOINTMENT, VERIFICATION, Ledger, Writers, who

QUIET_SECONDS = 60
"""How long after the last fault everything has to be handled."""
FAULTS_SECONDS = 60
LONG_SECONDS = 12


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed about a run."""

    seed: int
    well: bool
    faults: list[str]
    commands: dict[str, int]
    events: int
    effects: int
    records: int
    deaths_of_replicas: int
    slow_stops: int
    verdict: Verdict
    proof: Proof
    seconds: dict[str, float]
    """How long each part of the run took, and all of it."""


class Laps:
    """A stop watch."""

    def __init__(self) -> None:
        """Start."""
        self._began = self._last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def end(self, lap: str) -> None:
        """Note how long *lap* took, and how long all took together."""
        now = time.monotonic()
        self.seconds[lap] = round(now - self._last, 1)
        self.seconds["in_all"] = round(now - self._began, 1)
        self._last = now


async def play(stage: Stage, plan: Plan, folder: Path) -> Report:
    """Play the run of *plan*; the replicas write their logs into *folder*."""
    laps = Laps()
    database_url = await postgres.clone(stage.server_url, stage.template)
    try:
        return await _play(stage, plan, folder, database_url, laps)
    finally:
        await postgres.drop(stage.server_url, database_url)


async def _play(stage: Stage, plan: Plan, folder: Path, database_url: str, laps: Laps) -> Report:
    moods = await _prepare(plan, database_url)
    settings = _settings(plan, stage, database_url)
    topics = [settings.wire_name(topic) for topic in Topic]
    async with AsyncExitStack() as stack:
        ways, kafka_way = await _ways(stack, stage, database_url)
        replicas = await stack.enter_async_context(
            running(
                [
                    Replica(stage.nursery, _through(settings, way), moods, folder / f"{n}.log")
                    for n, way in enumerate(ways[:REPLICAS])
                ]
            )
        )
        writers = await stack.enter_async_context(_writers(_through(settings, ways[-1]), plan.seed))
        outsider = Outsider(
            stage.broker.address, settings.wire_name(Topic.DEATH_NOTIFICATION), plan.seed
        )
        await evidence.until_topics_exist(stage.broker.address, topics)
        cast = Cast(
            database_url=database_url,
            replicas=replicas,
            databases=ways,
            kafka_way=kafka_way,
            broker=stage.broker,
            writers=writers,
        )
        laps.end("prepared")
        async with asyncio.timeout(FAULTS_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(writers.run())
            group.create_task(outsider.run())
            for fault in plan.faults:
                group.create_task(inflict(cast, fault))
        laps.end("under_faults")
        notices = outsider.acknowledged
        curious = asyncio.create_task(_ask_what_goes_on(replicas))
        await evidence.until_drained(database_url, len(notices), QUIET_SECONDS)
        curious.cancel()
        laps.end("drained")
    laps.end("stopped")
    found = await evidence.gather(database_url, stage.broker.address, settings, notices)
    laps.end("read")
    proof = await verify(stage.nursery, settings, stage.broker.address, folder)
    laps.end("verified")
    verdict = judge(writers.ledger, found)
    slow_stops = sum(replica.slow_stops for replica in replicas)
    well = verdict.well and proof.clean and not slow_stops
    if not well:
        await evidence.keep(database_url, found, folder)
    await evidence.forget_topics(stage.broker.address, topics)
    return Report(
        seed=plan.seed,
        well=well,
        faults=[fault.kind.value for fault in plan.faults],
        commands=_counts(writers.ledger),
        events=found.events,
        effects=len(found.effects),
        records=found.record_count,
        deaths_of_replicas=sum(replica.deaths for replica in replicas),
        slow_stops=slow_stops,
        verdict=verdict,
        proof=proof,
        seconds=laps.seconds,
    )


async def _ask_what_goes_on(replicas: Sequence[Replica]) -> None:
    """Let the replicas write into their logs what they wait for, if it takes long."""
    while True:
        await asyncio.sleep(LONG_SECONDS)
        for replica in replicas:
            replica.signal(signal.SIGUSR2)


async def _prepare(plan: Plan, database_url: str) -> Moods:
    """Create the accounts and the moods; return the moods."""
    moods = {
        # Early numbers, which every account is sure to reach.
        (who(fault.number % ACCOUNTS), 1 + fault.number % 5): fault.kind
        for fault in plan.faults
        if fault.kind in HANDLERS
    }
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(SCHEMA)
        await connection.executemany(
            "INSERT INTO chaos.account VALUES ($1, $2, 0)",
            [(who(n), stream) for n in range(ACCOUNTS) for stream in (VERIFICATION, APPOINTMENT)],
        )
        await connection.executemany(
            "INSERT INTO chaos.mood VALUES ($1, $2, $3, $4)",
            [(account, n, kind.value, 1 + n % 2) for (account, n), kind in moods.items()],
        )
    finally:
        await connection.close()
    return moods


def _settings(plan: Plan, stage: Stage, database_url: str) -> BusSettings:
    name = make_url(database_url).database or ""
    mark = f"{plan.seed}.{name[-6:]}"
    return BusSettings(
        database_url=database_url,
        kafka_bootstrap_servers=f"127.0.0.1:{stage.kafka_port}",
        kafka_client_id=f"chaos.{mark}",
        topic_names={topic: f"{topic.value}.{mark}" for topic in Topic},
        pseudonym_key=b"a key for chaos, 32 bytes or more",
        request_pool_size=3,
        bus_pool_size=4,
        lease_seconds=LEASE_SECONDS,
        backoff_limit_seconds=4,
        topic_partitions=2,
    )


def _through(settings: BusSettings, way: Proxy) -> BusSettings:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=way.port)
    return msgspec.structs.replace(settings, database_url=url.render_as_string(hide_password=False))


async def _ways(
    stack: AsyncExitStack, stage: Stage, database_url: str
) -> tuple[list[Proxy], Proxy]:
    """Open a way to the database for each replica and for the writers, and one to Kafka."""
    database = make_url(database_url)
    ways = [
        await stack.enter_async_context(Proxy(database.host or "", database.port or 5432))
        for _ in range(REPLICAS + 1)
    ]
    host, _, port = stage.broker.behind.partition(":")
    return ways, await stack.enter_async_context(Proxy(host, int(port), stage.kafka_port))


@asynccontextmanager
async def _writers(settings: BusSettings, seed: int) -> AsyncIterator[Writers]:
    """Yield writers on a bus that only writes, and tells the replicas about it."""
    bus = Bus(settings, SystemClock())
    bus.add(module(bus.database, {}))
    notifier = Notifier(settings.database_url, bus.wake, lambda: REPLICAS)
    telling = asyncio.create_task(notifier.run())
    try:
        yield Writers(bus.uow, seed)
    finally:
        telling.cancel()
        await asyncio.wait([telling])
        await bus.database.close()


def _counts(ledger: Ledger) -> dict[str, Any]:
    return {
        "confirmed": len(ledger.confirmed),
        "unknown": len(ledger.unknown),
        "given_up": len(ledger.given_up),
        **ledger.errors,
    }
