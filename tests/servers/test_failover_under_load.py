"""A streaming standby is promoted while clients send requests and events flow to Kafka."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from govid.bus.events import Topic
from tests.backends import forked_commands
from tests.backends.debian_postgres import DebianServer
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.faults import evidence
from tests.faults.registrants import RegistrationLoad, build_applicants, sign_in
from tests.servers.paced_load import Answer, Kind, PacedLoad
from tests.servers.signals import fetch, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]

READERS = 4
APPLICANTS = 1_500
SERVED_AGAIN_SECONDS = 10.0
LOST_RECORDS = 20
WARM_ANSWERS = 500
RECENT_SECONDS = 3.0
SETTLED_ANSWERS = 400
SETTLE_SECONDS = 60
KINDS: tuple[Kind, ...] = ("profile", "registration")
SERVED = {200, 201}
NO_DATABASE = {"urn:govid:problem:unavailable", "urn:govid:problem:accounts-unreachable"}
"""The problems of requests that found no database. Others are refused as too many."""
FOUND_PROBLEMS = 5
"""The exit code of a command that found problems."""
TOPICS = [topic for topic in Topic if topic not in {Topic.ACTIVITY, Topic.ACCESS}]
PUBLISHED = "SELECT count(*) FROM bus.receipt WHERE subscriber = 'kafka.relay'"
RECENT_EVENTS = """
    SELECT count(*) FROM bus.event WHERE occurred_at > clock_timestamp() - make_interval(secs => $1)
"""
WAL_RECEIVERS = "SELECT count(*) FROM pg_stat_wal_receiver"


class Stage(NamedTuple):
    """The servers of one test. `govid` has both hosts of the pair in its URL."""

    primary: DebianServer
    standby: DebianServer
    govid: Govid
    kafka: str
    prefix: str

    def verify(self, *options: str) -> tuple[int | None, Mapping[str, Any]]:
        """Run `govid outbox verify`; return its exit code and its report."""
        code, lines = self.run("outbox", "verify", "--json", *options)
        document = lines[lines.index("{") : lines.index("}") + 1]
        return code, json.loads("\n".join(document))

    def run(self, *arguments: str) -> tuple[int | None, list[str]]:
        """Run a command with the settings of the server."""
        folder = self.govid.folder or Path()
        environment = self.govid.environment
        return forked_commands.run(*arguments, folder=folder, environment=environment)

    def published(self) -> list[evidence.Record]:
        """Return all records that the relay has sent to Kafka."""
        names = [f"{self.prefix}{topic}" for topic in TOPICS]
        return [one for name in names for one in evidence.published(self.kafka, name)]


def hosts_url(*servers: DebianServer) -> str:
    """Return a URL with the hosts of *servers*, of which the primary is wanted."""
    hosts = ",".join(f"127.0.0.1:{one.port}" for one in servers)
    first = servers[0].url()
    return f"{first.replace(f'127.0.0.1:{servers[0].port}', hosts)}?target_session_attrs=read-write"


@pytest.fixture
def stage(
    primary: DebianServer, standby: DebianServer, kafka_address: str, tmp_path: Path
) -> Iterator[Stage]:
    """Return the servers, of which govid is ready."""
    prefix = f"{uuid4().hex[:8]}."
    server = Govid(
        tmp_path,
        database_url=hosts_url(primary, standby),
        kafka=kafka_address,
        extra={**FLOOR_OF_HASHES, "GOVID_KAFKA_PREFIX": prefix},
    )
    with server:
        yield Stage(primary, standby, server, kafka_address, prefix)


async def fetch_value(server: DebianServer, query: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(server.url())
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


@asynccontextmanager
async def paced_load(stage: Stage) -> AsyncIterator[PacedLoad]:
    """Run the load for the length of the block, which begins when it has warmed up."""
    readers = build_applicants(READERS, group="reader", start=APPLICANTS)
    registrations = RegistrationLoad(stage.govid.url, readers)
    await registrations.register()
    async with httpx.AsyncClient(base_url=stage.govid.url, timeout=30) as client:
        headers = [await sign_in(client, one.email) for one in readers]
    load = PacedLoad(stage.govid.url, headers, build_applicants(APPLICANTS))
    async with load.run():
        await load.wait_for(lambda: len(load.answers) >= WARM_ANSWERS)
        yield load


class FailoverTimes(NamedTuple):
    """When the primary was killed and the standby was promoted, on the clock of the loop."""

    killed_at: float
    promoted_at: float
    recent_events: int
    """The number of events that the primary stored in `RECENT_SECONDS` before it was killed."""


async def fail_over(stage: Stage, load: PacedLoad) -> FailoverTimes:
    """Let the standby replace the primary, and return once requests are served again."""
    clock = asyncio.get_running_loop().time
    events = await fetch_value(stage.primary, RECENT_EVENTS, RECENT_SECONDS)
    await asyncio.to_thread(stage.primary.stop, "immediate")
    killed_at = clock()
    # A cluster manager needs a moment to notice that the primary is gone.
    await load.wait_for(lambda: refused_kinds(load) == set(KINDS))
    await asyncio.to_thread(stage.standby.promote)
    promoted_at = clock()
    await load.wait_for(lambda: len(served_after(load, promoted_at, "profile")) >= SETTLED_ANSWERS)
    await load.wait_for(lambda: bool(served_after(load, promoted_at, "registration")))
    return FailoverTimes(killed_at, promoted_at, events)


def served_after(load: PacedLoad, moment: float, kind: Kind) -> list[Answer]:
    """Return the answers other than refusals to requests of *kind* sent after *moment*."""
    return [
        one
        for one in load.answers
        if one.kind == kind and one.sent_at > moment and one.status in SERVED
    ]


def refused_kinds(load: PacedLoad) -> set[Kind]:
    """Return of which kind requests were refused because there was no database."""
    return {one.kind for one in load.answers if one.problem in NO_DATABASE}


def measure(load: PacedLoad, times: FailoverTimes) -> dict[str, Any]:
    """Return the figures of a fail-over; seconds count from the end of the promotion."""
    recent = [one for one in load.answers if 0 < times.killed_at - one.sent_at <= RECENT_SECONDS]
    lacking_database = [one.sent_at for one in load.answers if one.problem in NO_DATABASE]
    answers = Counter((one.kind, one.status, one.problem) for one in load.answers)
    return {
        "requests_per_second": round(len(recent) / RECENT_SECONDS),
        "events_per_second": round(times.recent_events / RECENT_SECONDS),
        "without_primary_seconds": round(times.promoted_at - times.killed_at, 2),
        "first_served_seconds": {
            kind: round(
                min(one.received_at for one in served_after(load, times.killed_at, kind))
                - times.promoted_at,
                2,
            )
            for kind in KINDS
        },
        "last_refused_seconds": round(max(lacking_database) - times.promoted_at, 2),
        "slowest_seconds": round(max(one.received_at - one.sent_at for one in load.answers), 2),
        "answers": {" ".join(map(str, what)): count for what, count in answers.items()},
    }


def assert_promises_are_kept(load: PacedLoad, times: FailoverTimes) -> None:
    """Assert what clients were promised of a fail-over; print the figures."""
    figures = measure(load, times)
    sys.stdout.write(json.dumps(figures) + "\n")
    refused = [one for one in load.answers if one.status not in SERVED]
    assert {(one.status, one.retry_after is None) for one in refused} == {(503, False)}
    assert figures["last_refused_seconds"] <= SERVED_AGAIN_SECONDS
    assert max(figures["first_served_seconds"].values()) <= SERVED_AGAIN_SECONDS


async def test_with_a_synchronous_standby_nothing_is_lost(stage: Stage) -> None:
    await stage.primary.execute(
        "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
    )
    async with paced_load(stage) as load:
        times = await fail_over(stage, load)
    assert_promises_are_kept(load, times)
    totals = await evidence.wait_until_settled(stage.standby.url(), SETTLE_SECONDS)
    assert (totals.pending, totals.parked, totals.dead) == (0, 0, 0)
    stored = await fetch_value(stage.standby, "SELECT array_agg(email) FROM identity.account")
    assert load.registered <= set(stored)
    code, report = await asyncio.to_thread(stage.verify)
    assert (code, report["findings"]) == (0, [])


async def test_verify_names_what_an_asynchronous_standby_has_not_received(stage: Stage) -> None:
    async with paced_load(stage) as load:
        await stage.standby.execute(
            "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"
        )
        await wait_until(lambda: is_cut_off(stage))
        known = await fetch_value(stage.primary, PUBLISHED)
        await wait_until(lambda: has_published(stage, known + LOST_RECORDS))
        times = await fail_over(stage, load)
    assert_promises_are_kept(load, times)
    await wait_until(lambda: is_kafka_ahead(stage))

    missing = await find_missing(stage)
    code, report = await asyncio.to_thread(stage.verify)
    assert len(missing) >= LOST_RECORDS
    assert code == FOUND_PROBLEMS
    # A record whose event the standby has may follow one that it has not.
    assert {one["problem"] for one in report["findings"]} <= {"kafka_ahead", "record_unknown"}
    assert named_places(report["findings"]) == {one.place for one in missing}
    assert {UUID(one["event_id"]) for one in report["findings"]} <= {
        one.event_id for one in missing
    }

    since = await fetch_value(stage.standby, "SELECT clock_timestamp()")
    code, lines = await asyncio.to_thread(
        stage.run, "topics", "accept-ahead", "--reason", "an asynchronous standby", "--yes"
    )
    assert code == 0, lines
    totals = await evidence.wait_until_settled(stage.standby.url(), SETTLE_SECONDS)
    assert (totals.pending, totals.parked, totals.dead) == (0, 0, 0)
    code, report = await asyncio.to_thread(stage.verify)
    assert {one["problem"] for one in report["findings"]} <= {"kafka_ahead", "record_unknown"}
    assert named_places(report["findings"]) == {one.place for one in missing}
    code, report = await asyncio.to_thread(stage.verify, "--since", since.isoformat())
    assert (code, report["findings"]) == (0, [])


async def is_cut_off(stage: Stage) -> bool:
    return bool(await fetch_value(stage.standby, WAL_RECEIVERS) == 0)


async def has_published(stage: Stage, count: int) -> bool:
    return bool(await fetch_value(stage.primary, PUBLISHED) >= count)


async def is_kafka_ahead(stage: Stage) -> bool:
    health = await fetch(f"{stage.govid.url}/health")
    return bool(health.json()["dependencies"]["kafka"] == "ahead")


async def find_missing(stage: Stage) -> list[evidence.Record]:
    """Return the records in Kafka of which the new primary has no event."""
    records = await asyncio.to_thread(stage.published)
    stored = set(await fetch_value(stage.standby, "SELECT array_agg(id) FROM bus.event"))
    return [one for one in records if one.event_id not in stored]


def named_places(findings: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the places that *findings* name: each has its first one, and how many follow."""
    places = set()
    for one in findings:
        partition, _, first = one["place"].rpartition("/")
        places |= {f"{partition}/{int(first) + n}" for n in range(one["count"])}
    return places
