"""Runs replicas, writers, an external publisher and the faults of a seed; then checks all."""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from govid.bus.gauges import DatabaseSampler
from tests.backends import postgres
from tests.chaos import evidence
from tests.chaos.checker import CheckReport, check_run
from tests.chaos.databases import TEMPLATE, FailoverPair, failover_pair
from tests.chaos.external_publisher import ExternalPublisher
from tests.chaos.faults import FaultTargets, inject_fault
from tests.chaos.operator_commands import (
    ACCEPT_GAP,
    ACCEPTED,
    PUBLISH_AGAIN,
    Gap,
    Proof,
    command,
    verify,
)
from tests.chaos.plan import REPLICAS, Kind, Plan
from tests.chaos.reader import ends_of
from tests.chaos.replicas import Replica, running
from tests.chaos.run_environment import (
    build_settings,
    grant_least_acls,
    open_proxies,
    open_writers,
    prepare_database,
    route_through,
)
from tests.chaos.shared_backends import SharedBackends
from tests.chaos.writers import Ledger

QUIET_SECONDS = 60
"""How long after the last fault everything has to be handled."""
FAULTS_SECONDS = 120
LONG_SECONDS = 12
DELETABLE = (Topic.VERIFICATION_REQUEST, Topic.VERIFICATION_RESULT)
"""The topics of govid's own that are published to all the time, and that `verify` looks at here."""


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
    verdict: CheckReport
    proof: Proof
    seconds: dict[str, float]
    """How long each part of the run took, and all of it."""


class PhaseTimer:
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


async def run_plan(shared_backends: SharedBackends, plan: Plan, folder: Path) -> Report:
    """Play the run of *plan*; the replicas write their logs into *folder*."""
    laps = PhaseTimer()
    if Kind.DATABASE_FAILED_OVER in plan.kinds:
        authority, fork_server = shared_backends.authority, shared_backends.fork_server
        async with failover_pair(authority, fork_server) as (pair, database_url):
            return await _play(shared_backends, plan, folder, database_url, pair, laps)
    database_url = await postgres.clone(shared_backends.server_url, TEMPLATE)
    try:
        return await _play(shared_backends, plan, folder, database_url, None, laps)
    finally:
        await postgres.drop(shared_backends.server_url, database_url)


async def _play(
    shared_backends: SharedBackends,
    plan: Plan,
    folder: Path,
    database_url: str,
    pair: FailoverPair | None,
    laps: PhaseTimer,
) -> Report:
    settings = build_settings(plan, shared_backends, database_url, folder)
    await asyncio.to_thread(grant_least_acls, shared_backends.secured, settings)
    topics = [settings.wire_name(topic) for topic in Topic]
    moods = await prepare_database(plan, database_url)
    published_again: Mapping[tuple[str, int], int] = {}
    gaps: Sequence[Gap] = ()
    async with AsyncExitStack() as scene:
        to_database, to_kafka = await open_proxies(scene, shared_backends, settings)
        cast = FaultTargets(
            database_url=database_url,
            replicas=[
                Replica(
                    shared_backends.fork_server,
                    route_through(settings, way),
                    moods,
                    folder / f"{n}.log",
                )
                for n, way in enumerate(to_database[:REPLICAS])
            ],
            to_database=to_database,
            to_kafka=to_kafka,
            secured=shared_backends.secured,
            settings=settings,
            writers=await scene.enter_async_context(
                open_writers(route_through(settings, to_database[-1]), plan.seed)
            ),
            external_publisher=ExternalPublisher(
                shared_backends.broker.address,
                settings.wire_name(Topic.DEATH_NOTIFICATION),
                plan.seed,
            ),
            pair=pair,
            published=[settings.wire_name(topic) for topic in DELETABLE],
            removed={},
        )
        await scene.enter_async_context(running(cast.replicas))
        await evidence.until_topics_exist(shared_backends.broker.address, topics)
        await evidence.until_positions_are_known(
            shared_backends.broker.address,
            settings.inbox_group,
            cast.external_publisher.topic,
        )
        laps.end("prepared")
        notices = await _under_faults(cast, plan)
        laps.end("under_faults")
        await _until_quiet(cast)
        laps.end("drained")
        if Kind.KAFKA_RECORDS_REMOVED in plan.kinds:
            gaps = await _accept_gaps(shared_backends, settings, folder)
            laps.end("gaps_accepted")
        if Kind.KAFKA_TOPIC_DELETED in plan.kinds:
            published_again = await _publish_again(shared_backends, settings, folder, cast)
            laps.end("published_again")
    laps.end("stopped")
    found = await evidence.gather(
        database_url,
        shared_backends.broker.address,
        settings,
        notices,
        cast.removed,
        gaps,
        published_again,
    )
    laps.end("read")
    proof = await verify(
        shared_backends.fork_server, settings, shared_backends.broker.address, folder
    )
    laps.end("verified")
    verdict = check_run(cast.writers.ledger, found)
    slow_stops = sum(replica.slow_stops for replica in cast.replicas)
    well = verdict.well and proof.clean and not slow_stops
    if not well:
        await evidence.keep(database_url, found, folder)
    await evidence.forget_topics(shared_backends.broker.address, topics)
    return Report(
        seed=plan.seed,
        well=well,
        faults=[fault.kind.value for fault in plan.faults],
        commands=_counts(cast.writers.ledger),
        events=found.events,
        effects=len(found.effects),
        records=found.record_count,
        deaths_of_replicas=sum(replica.deaths for replica in cast.replicas),
        slow_stops=slow_stops,
        verdict=verdict,
        proof=proof,
        seconds=laps.seconds,
    )


async def _accept_gaps(
    shared_backends: SharedBackends, settings: BusSettings, folder: Path
) -> Sequence[Gap]:
    """Return the notices that were removed unread, as `verify` names them; give them up.

    Raises:
        RuntimeError: an alarm would have missed some of them, or one was not given up.
    """
    gaps = (
        await verify(shared_backends.fork_server, settings, shared_backends.broker.address, folder)
    ).gaps
    if await _alarming(settings) != sum(gap.count for gap in gaps):
        raise RuntimeError("the gauge and verify differ about what was removed unread")
    for gap in gaps:
        words = (*ACCEPT_GAP, gap.topic, str(gap.partition), str(gap.first), *ACCEPTED)
        code, _ = await command(
            shared_backends.fork_server, settings, shared_backends.broker.address, folder, words
        )
        if code:
            raise RuntimeError(f"a gap was not given up: exit code {code}")
    return gaps


async def _alarming(settings: BusSettings) -> int | None:
    """Return how many records removed unread the metrics tell of."""
    async with Database(settings) as database:
        sampler = DatabaseSampler(database)
        await sampler.refresh()
        return sampler.last.gap_records


async def _publish_again(
    shared_backends: SharedBackends, settings: BusSettings, folder: Path, cast: FaultTargets
) -> Mapping[tuple[str, int], int]:
    """Publish what a deleted topic had held, if that is what `verify` finds.

    Return from which offsets on it is in the topics that may have been deleted.
    """
    if (
        await verify(shared_backends.fork_server, settings, shared_backends.broker.address, folder)
    ).clean:
        return {}
    # With nothing to publish there, a topic is created again when its time to be looked at comes.
    await evidence.until_topics_exist(shared_backends.broker.address, cast.published)
    ends = await asyncio.to_thread(ends_of, shared_backends.broker.address, cast.published)
    await command(
        shared_backends.fork_server, settings, shared_backends.broker.address, folder, PUBLISH_AGAIN
    )
    await _until_quiet(cast)
    return ends


async def _under_faults(cast: FaultTargets, plan: Plan) -> set[tuple[str, int]]:
    """Write while everything breaks; return the notices that Kafka acknowledged meanwhile."""
    async with asyncio.timeout(FAULTS_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(cast.writers.run())
        group.create_task(cast.external_publisher.run())
        for fault in plan.faults:
            group.create_task(inject_fault(cast, fault))
    return cast.external_publisher.acknowledged


async def _until_quiet(cast: FaultTargets) -> None:
    """Wait until all is handled; if it takes long, let the replicas note what they wait for."""
    loop = asyncio.get_running_loop()
    questions = [
        loop.call_later(LONG_SECONDS * n, replica.signal, signal.SIGUSR2)
        for n in range(1, QUIET_SECONDS // LONG_SECONDS)
        for replica in cast.replicas
    ]
    topic = cast.external_publisher.topic
    notices = await evidence.notices_in(cast.broker.address, topic, cast.removed)
    await evidence.until_drained(cast.database_url, notices, cast.removed, QUIET_SECONDS)
    for question in questions:
        question.cancel()


def _counts(ledger: Ledger) -> dict[str, Any]:
    return {
        "confirmed": len(ledger.confirmed),
        "unknown": len(ledger.unknown),
        "given_up": len(ledger.given_up),
        **ledger.errors,
    }
