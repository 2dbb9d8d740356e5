"""Both departments are away for minutes while people go on registering; then they are back.

    python -m tests.faults.departments_down --minutes 5 --rate 5
    python -m tests.faults.departments_down --minutes 5 --rate 5 --limits

prints how people were served meanwhile, what the absence cost in attempts, and how long it took
until everybody was verified; exits with 1 if a figure is not what it has to be. The departments
are simulated in a process of their own, behind a proxy that refuses connections meanwhile.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg

from tests.backends import cluster
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.backends.simulators import Simulators
from tests.chaos.proxy import Proxy
from tests.faults.registrants_with_facts import (
    PacedRegistrations,
    add_to_departments,
    build_claimants,
)

NO_KAFKA = "127.0.0.1:1"
"""No Kafka takes part."""
CREATED = 201
WARM_UP = 4
PROMISED_SECONDS = 60
"""With the limits lifted, everybody is verified so long after the departments are back."""
PATIENCE_SECONDS = 120
LIMIT_PER_SECOND = 2.7
"""How fast the slower of them is asked, where its limit holds."""

_STATE = """
    SELECT (SELECT count(*) FROM identity.account WHERE status = 'verified') AS verified,
           (SELECT count(*) FROM identity.account WHERE status = 'pending_verification') AS waiting,
           (SELECT coalesce(sum(attempts), 0) FROM bus.parked) AS attempts,
           (SELECT count(*) FROM bus.dead) AS dead,
           (SELECT count(outcome) FROM identity.verification_attempt) AS settled,
           (SELECT count(*) FROM identity.verification_attempt WHERE counts) AS reserved
"""


class Pace(NamedTuple):
    """What is asked of a run."""

    seconds: float
    per_second: float


class State(NamedTuple):
    """What the database says."""

    verified: int
    waiting: int
    attempts: int
    dead: int
    settled: int
    reserved: int


async def run(
    folder: Path, database_url: str, simulators: Simulators, pace: Pace
) -> dict[str, Any]:
    """Play it with running *simulators*; return the figures."""
    address = urlsplit(simulators.url)
    async with Proxy(address.hostname or "", address.port or 0) as proxy:
        settings = simulators.settings(f"http://127.0.0.1:{proxy.port}")
        govid = Govid(
            folder, database_url=database_url, kafka=NO_KAFKA, extra={**FLOOR_OF_HASHES, **settings}
        )
        govid.migrate()
        connection: Any = await asyncpg.connect(database_url)
        try:
            await asyncio.to_thread(govid.start)
            return await _with_people(govid, connection, proxy, simulators, pace)
        finally:
            await connection.close()
            await asyncio.to_thread(govid.stop)


async def _with_people(
    govid: Govid, connection: Any, proxy: Proxy, simulators: Simulators, pace: Pace
) -> dict[str, Any]:
    early = build_claimants(WARM_UP, start=0)
    late = build_claimants(round(pace.seconds * pace.per_second), start=1_000)
    await add_to_departments(simulators.url, [*early, *late])
    arrivals = PacedRegistrations(govid.url, pace.per_second)
    await arrivals.register(early)
    await _verified(connection, PATIENCE_SECONDS)
    proxy.refuse()
    began = time.monotonic()
    await arrivals.register(late)
    during, ended = await _state(connection), time.monotonic()
    await proxy.admit()
    seconds = await _verified(connection, PATIENCE_SECONDS + len(late) / LIMIT_PER_SECOND)
    after = await _state(connection)
    return {
        "minutes_away": round((ended - began) / 60, 2),
        "registrations": arrivals.answers.total() - WARM_UP,
        "asked_to_come_again": arrivals.asked_again,
        "refused": {status: n for status, n in arrivals.answers.items() if status != CREATED},
        "waiting_when_they_came_back": during.waiting,
        "verified_meanwhile": during.verified - WARM_UP,
        "attempts_spent": max(during.attempts, after.attempts),
        "identity_attempts_settled_meanwhile": during.settled - WARM_UP,
        "dead": after.dead,
        "verified": after.verified - WARM_UP,
        "identity_attempts_each": round(after.reserved / after.verified, 3),
        "all_verified_after_seconds": None if seconds is None else round(seconds, 1),
        "verified_per_second": None if seconds is None else round(during.waiting / seconds, 1),
    }


async def _state(connection: Any) -> State:
    return State(*await connection.fetchrow(_STATE))


async def _verified(connection: Any, patience: float) -> float | None:
    """Return after how many seconds no account waited any more; None if one still did."""
    began = time.monotonic()
    while (await _state(connection)).waiting:
        if time.monotonic() > began + patience:
            return None
        await asyncio.sleep(0.1)
    return time.monotonic() - began


def is_as_promised(figures: dict[str, Any], *, limits: bool) -> dict[str, bool]:
    """Tell of each promise whether it was kept; with *limits* no time is promised."""
    seconds = figures["all_verified_after_seconds"]
    return {
        "nobody_refused": figures["refused"] == {},
        "nothing_decided_meanwhile": figures["verified_meanwhile"] == 0
        and figures["identity_attempts_settled_meanwhile"] == 0,
        "no_attempt_spent": figures["attempts_spent"] == 0,
        "nothing_dead": figures["dead"] == 0,
        "everybody_verified": figures["verified"] == figures["registrations"],
        "with_one_attempt_each": figures["identity_attempts_each"] == 1,
        "in_time": seconds is not None and (limits or seconds <= PROMISED_SECONDS),
    }


def main() -> int:
    """Run it on backends of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5, help="how long they are away")
    parser.add_argument("--rate", type=float, default=5, help="registrations a second")
    parser.add_argument("--limits", action="store_true", help="leave the limits as they are")
    options = parser.parse_args()
    pace = Pace(60 * options.minutes, options.rate)
    with (
        tempfile.TemporaryDirectory(prefix="govid-absence-") as name,
        cluster.server() as server,
        Simulators(folder := Path(name), limits=options.limits) as simulators,
    ):
        url = cluster.create(server, "absence")
        figures = asyncio.run(run(folder, url, simulators, pace))
    kept = is_as_promised(figures, limits=options.limits)
    sys.stdout.write(json.dumps({**figures, "well": kept}, indent=2) + "\n")
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
