"""`make scale`: what statements cost in a large database beside a small one; JSON on stdout.

    python -m bench.scale --accounts 100000

Builds two databases by SQL, of 10,000 accounts and of as many as requested, each over ninety days,
and prints the figures of both in milliseconds (medians).
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg

from bench.scale.population import populate
from govid.bus import BusSettings, Database
from govid.bus.delivery.subscriptions import RELAY
from govid.bus.gauges import DatabaseSampler
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.inspection import OutboxInspection
from govid.bus.operations.outbox_tail import FIRST_SINCE
from govid.bus.operations.verify_outbox import AuditRange, DeliveryAudit
from govid.bus.shared.ids import first_uuid7_at
from govid.bus.storage.partitions import QUERIES as RETENTION
from govid.gateway.migrations import upgrade
from tests.backends import cluster

BASE_ACCOUNTS = 10_000
REPEATS = 5
OWN_SESSIONS = "SELECT id FROM identity.session WHERE account_id = $1 AND revoked_at IS NULL"

Work = Callable[[], Awaitable[Any]]


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    options = parser.parse_args()
    with cluster.server() as server:
        results = {
            accounts: asyncio.run(_measured(cluster.create(server, f"scale{accounts}"), accounts))
            for accounts in (BASE_ACCOUNTS, options.accounts)
        }
    small, large = results[BASE_ACCOUNTS], results[options.accounts]
    for name, figure in large.items():
        print(f"{name:34} {small[name]:10.2f} {figure:10.2f}", file=sys.stderr)
    print(json.dumps({"accounts": results}, indent=2))


async def _measured(url: str, accounts: int) -> dict[str, float]:
    await asyncio.to_thread(upgrade, url)
    settings = BusSettings(
        database_url=url,
        kafka_bootstrap_servers="127.0.0.1:1",
        pseudonym_key=b"a key for measuring, no secret at all",
    )
    print(f"Building {accounts} accounts", file=sys.stderr)
    # Half as many deliveries as accounts are pending: half a million at a million.
    await populate(settings, accounts, pending=accounts // 2)
    connection: Any = await asyncpg.connect(url, command_timeout=3600)
    async with Database(settings) as database:
        figures = {}
        for name, work in _operations(connection, database, await _an_account(connection)).items():
            figures[name] = await _milliseconds(work)
        began = perf_counter()
        events = await _verify(connection, None)
        figures["verify, events/s"] = events / (perf_counter() - began)
    await connection.close()
    return figures


def _operations(connection: Any, database: Database, account: Any) -> dict[str, Work]:
    now = datetime.now(UTC)
    day = (first_uuid7_at(now - timedelta(days=60)), first_uuid7_at(now - timedelta(days=59)))
    look = OutboxInspection(connection)
    return {
        "I1 outbox list": lambda: look.fetch_deliveries(DeliveryFilter()),
        "I1 outbox list, no such type": lambda: look.fetch_deliveries(
            DeliveryFilter(type="no.such.type")
        ),
        "I1 outbox list, parked": lambda: look.fetch_deliveries(DeliveryFilter(), state="parked"),
        "I1 outbox list, subscriber": lambda: look.fetch_deliveries(
            DeliveryFilter(subscriber=RELAY)
        ),
        "I4 verify, a day": lambda: _verify(connection, now - timedelta(days=2)),
        "I5 sessions of an account": lambda: connection.fetch(OWN_SESSIONS, account),
        "I6 outbox status": look.fetch_status,
        "I7 events tail --since": lambda: connection.fetchval(
            FIRST_SINCE, first_uuid7_at(now - timedelta(days=1)), 1000
        ),
        "I8 metrics": lambda: DatabaseSampler(database).refresh(),
        "I11 retention asks": lambda: connection.fetchval(
            RETENTION["is_range_needed"], "event", *day
        ),
    }


async def _verify(connection: Any, since: datetime | None) -> int:
    until = None if since is None else since + timedelta(days=1)
    range_ = AuditRange.for_period(since, until, now=datetime.now(UTC), retained_days=90)
    proof = DeliveryAudit(connection, range_)
    async for _ in proof.run():
        pass
    return proof.totals.events


async def _an_account(connection: Any) -> Any:
    return await connection.fetchval("SELECT account_id FROM identity.session LIMIT 1")


async def _milliseconds(work: Work) -> float:
    taken = []
    for _ in range(REPEATS):
        began = perf_counter()
        await work()
        taken.append((perf_counter() - began) * 1000)
    return median(taken)


if __name__ == "__main__":
    main()
