"""The bus as it ships, in this process, on real servers and a database that is ninety days old."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from time import monotonic
from typing import Any, TypeVar

import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from bench.backends import backends
from govid.bus import BusSettings, Module, OperationContext, Subscriber, SystemClock
from govid.bus.events import Event, Topic
from govid.bus.runtime import Bus
from govid.bus.storage.retention import DAYS_AHEAD, RetentionWorker
from govid.gateway.migrations import upgrade
from tests.backends import cluster
from tests.backends.kafka import Unavailable
from tests.backends.kafka_secured import SecuredBroker

CONTEXT = OperationContext(correlation_id="bench")
SETTLE_SECONDS = 60
ALL_QUIET = "SELECT NOT EXISTS (SELECT FROM bus.delivery)"
FILL_AT_A_TIME = 500

ResultT = TypeVar("ResultT")


class BenchBackends:
    """The servers of one measurement. Each `hub` on them has a database and topics of its own."""

    def __init__(self, postgres: str, kafka: str) -> None:
        """Prepare the database that all others are made of."""
        self.kafka = kafka
        self._postgres = postgres
        self._names = (f"bus-{n}" for n in count())
        url = cluster.create(postgres, "template")
        upgrade(url)
        run(_age(self._settings(url, "template")))

    def settings(self, secured: SecuredBroker | None = None) -> BusSettings:
        """Return the settings of a hub on a new database, which connects to *secured* by TLS."""
        name = next(self._names)
        statement = f'CREATE DATABASE "{name}" TEMPLATE template'
        asyncio.run(cluster.execute(self._postgres, statement))
        settings = self._settings(self._postgres.rpartition("/")[0] + f"/{name}", name)
        if secured is None:
            return settings
        return msgspec.structs.replace(
            settings, kafka_bootstrap_servers=secured.address, kafka_security=secured.security()
        )

    def _settings(self, url: str, mark: str) -> BusSettings:
        return BusSettings(
            database_url=url,
            kafka_bootstrap_servers=self.kafka,
            topic_names={topic: f"{topic.value}.{mark}" for topic in Topic},
            pseudonym_key=b"a key for measuring, no secret at all",
        )


@contextmanager
def bench_backends(*, needs_kafka: bool) -> Iterator[BenchBackends]:
    """Yield fresh servers.

    Raises:
        Unavailable: no Kafka can be had on this machine, and one is needed.
    """
    with backends() as where:
        if needs_kafka and not where.has_kafka:
            raise Unavailable("without a Kafka there is nothing to measure")
        yield BenchBackends(where.postgres, where.kafka)


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run *work* in the event loop that `govid serve` has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


class BusUnderTest:
    """One process of the bus: nothing runs in it before `running`."""

    def __init__(self, settings: BusSettings, *consumers: Subscriber) -> None:
        """Deliver to *consumers*, and to Kafka."""
        self.settings = settings
        self.bus = Bus(settings, SystemClock(), CollectorRegistry())
        self.bus.add_module(Module(name="bench", subscribers=consumers))

    async def fill(self, events: Sequence[Event]) -> None:
        """Commit *events* while no dispatcher runs."""
        async with self.bus.database:
            for start in range(0, len(events), FILL_AT_A_TIME):
                await self.emit(*events[start : start + FILL_AT_A_TIME])

    async def emit(self, *events: Event) -> None:
        """Commit *events* in one transaction."""
        async with self.bus.uow.begin(CONTEXT) as tx:
            for event in events:
                tx.emit(event)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Deliver for the length of the block."""
        await self.bus.start()
        try:
            yield
        finally:
            await self.bus.stop()

    async def wait_until_drained(self) -> None:
        """Wait until no delivery is pending."""
        deadline = monotonic() + SETTLE_SECONDS
        while not await self.bus.database.reads.fetchval(ALL_QUIET):
            if monotonic() > deadline:
                raise TimeoutError(f"not drained after {SETTLE_SECONDS} s")
            await asyncio.sleep(0.1)


class _At:
    """A clock that always shows the same time."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


async def _age(settings: BusSettings) -> None:
    """Give the database the partitions that ninety days leave behind."""
    now = datetime.now(UTC)
    step = timedelta(days=DAYS_AHEAD + 1)
    moments = [now - step * n for n in range(6)]
    for moment in reversed(moments):
        await RetentionWorker(settings, _At(moment)).run_once()
