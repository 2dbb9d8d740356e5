"""How fast a handler processes a backlog that writes one row for each event.

And what requests notice of it meanwhile: each writes a row and emits an event, one after the other.
"""

import asyncio
from collections.abc import Mapping
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import BigInteger, Column, Identity, MetaData, Table, Text, Uuid, insert

from bench.bus.bus_under_test import CONTEXT, BusUnderTest, bench_backends, run
from bench.bus.drains import pace
from bench.bus.ledger import Ledger, fetch, settled
from bench.numbers import percentile
from govid.bus import BusSettings, Delivery, Subscriber, Transaction
from govid.bus.events import AccountBlocked, AccountRegistered
from tests.backends import cluster

EVENTS_PER_SECOND = 2_500
"""How many events stand for one second of a round."""
ACCOUNTS = 1_000
EFFECTS = "SELECT account::text, number::int FROM effect ORDER BY place"
BARE = "INSERT INTO effect (account, number) VALUES ($1, $2)"

REQUEST_PAUSE_SECONDS = 0.01
BESIDE = 2
"""How many times as long the backlog beside requests is: else its start decides their p99."""
REQUEST = "INSERT INTO request (account) VALUES ($1)"
CREATE_REQUESTS = "CREATE TABLE request (account uuid PRIMARY KEY)"

effect = Table(
    "effect",
    MetaData(),
    Column("place", BigInteger, Identity(), primary_key=True),
    Column("account", Uuid, nullable=False),
    Column("number", Text, nullable=False),
)
CREATE = """
    CREATE TABLE effect (
        place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account uuid NOT NULL, number text NOT NULL)
"""


class Notes:
    """Writes one row for each event, as govid's modules write theirs."""

    async def prepare(self, delivery: Delivery[AccountBlocked]) -> None:
        """Do nothing: this handler needs no answer."""

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[AccountBlocked],
        outcome: None,  # noqa: ARG002 - the protocol
    ) -> None:
        """Write."""
        event = delivery.event
        await tx.execute(insert(effect), {"account": event.account_id, "number": event.reason})


CONSUMER = Subscriber(name="bench.notes", handles=(AccountBlocked,), handler=Notes())


def measure(*, rounds: int, seconds: int) -> dict[str, Any]:
    """Drain, and write the same rows without govid, in turn; return the medians."""
    events = EVENTS_PER_SECOND * seconds
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    beside: list[float] = []
    with bench_backends(needs_kafka=False) as servers:
        # Once in vain: servers that have just started are slow.
        _round(servers.settings(), EVENTS_PER_SECOND)
        for _ in range(rounds):
            for name, rate in _round(servers.settings(), events).items():
                rates[name].append(rate)
            beside += _requests_beside(servers.settings(), BESIDE * events)
    ours, bare = rates["ours"], rates["bare"]
    return {
        "events_per_second": round(median(ours), 1),
        "bare_inserts_per_second": round(median(bare), 1),
        "to_bare": round(median(ours) / median(bare), 3),
        "request_beside_p50_ms": round(percentile(beside, 50), 2),
        "request_beside_p99_ms": round(percentile(beside, 99), 2),
        "requests_beside": len(beside),
        "each_round": [[round(a), round(b)] for a, b in zip(ours, bare, strict=True)],
        "events": events,
        "accounts": ACCOUNTS,
        "rounds": rounds,
    }


def _round(settings: BusSettings, events: int) -> Mapping[str, float]:
    hub, ledger = BusUnderTest(settings, CONSUMER), Ledger(ACCOUNTS)
    asyncio.run(cluster.execute(settings.database_url, CREATE))
    ours = run(_drained(hub, ledger, events))
    rows = asyncio.run(fetch(settings.database_url, EFFECTS))
    ledger.compare("effects", ((row["account"], row["number"]) for row in rows))
    return {"ours": ours, "bare": run(_bare(settings, ledger, events))}


async def _drained(hub: BusUnderTest, ledger: Ledger, events: int) -> float:
    await hub.fill([ledger.block() for _ in range(events)])
    async with hub.run():
        await hub.wait_until_drained()
    await settled(hub.settings.database_url, events, receipts=events)
    return await pace(hub.settings.database_url, events, first=hub.settings.batch_size)


def _requests_beside(settings: BusSettings, events: int) -> list[float]:
    hub, ledger = BusUnderTest(settings, CONSUMER), Ledger(ACCOUNTS)
    asyncio.run(cluster.execute(settings.database_url, CREATE))
    asyncio.run(cluster.execute(settings.database_url, CREATE_REQUESTS))
    times = run(_beside(hub, ledger, events))
    rows = asyncio.run(fetch(settings.database_url, EFFECTS))
    ledger.compare("effects", ((row["account"], row["number"]) for row in rows))
    return times


async def _beside(hub: BusUnderTest, ledger: Ledger, events: int) -> list[float]:
    """Return how many milliseconds each request takes while a backlog drains."""
    times: list[float] = []

    async def request() -> None:
        account = uuid4()
        began = perf_counter()
        async with hub.bus.uow.begin(CONTEXT) as tx:
            await tx.driver.execute(REQUEST, account)
            tx.emit(AccountRegistered(account_id=account, timestamp=tx.now))
        times.append((perf_counter() - began) * 1000)

    await hub.fill([ledger.block() for _ in range(events)])
    async with hub.run():
        drained = asyncio.create_task(hub.wait_until_drained())
        while not drained.done():
            await request()
            await asyncio.sleep(REQUEST_PAUSE_SECONDS)
        await drained
    return times


async def _bare(settings: BusSettings, ledger: Ledger, events: int) -> float:
    """Insert the same rows, each in a transaction of its own, on as many connections."""
    rows = [ledger.block() for _ in range(events)]

    async def write() -> None:
        while rows:
            event = rows.pop()
            await pool.execute(BARE, event.account_id, event.reason)

    size = settings.bus_pool_size
    async with asyncpg.create_pool(settings.database_url, min_size=size, max_size=size) as pool:
        began = perf_counter()
        await asyncio.gather(*(write() for _ in range(size)))
        return events / (perf_counter() - began)
