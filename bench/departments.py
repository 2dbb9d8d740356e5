"""What those who wait for one department notice of the other's troubles.

Both are simulated in a process of their own, with all limits lifted. People register with HMRC and
the NHS in turn; in every second phase of a round the NHS is in trouble, in each round in another
kind. From registered to verified PostgreSQL's own clock counts, as in `registrations`.
"""

import asyncio
import time
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from bench.backends import NO_KAFKA, Backends, govid
from tests.backends import cluster
from tests.backends.govid import FLOOR_OF_HASHES
from tests.backends.simulators import Simulators
from tests.faults.registrants_with_facts import (
    PacedRegistrations,
    add_to_departments,
    build_claimants,
)

PER_SECOND = 10
TROUBLES = ("timeout", "503", "reset", "personal-data", "malformed")
SETTLE_SECONDS = 120

_LAST = "SELECT coalesce(max(pos), 0) FROM bus.event"
_WAITING = """
    SELECT count(*) FROM identity.account
    WHERE status = 'pending_verification' AND identifier_type = ANY ($1)
"""
_DELAYS = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(verified.xmin)
                            - pg_xact_commit_timestamp(registered.xmin)) * 1000
    FROM bus.event registered
    JOIN bus.event verified
        ON verified.key = registered.key AND verified.type = 'identity.account.verified'
    WHERE registered.type = 'identity.account.registered' AND registered.pos > $1
      AND registered.payload->>'identifier_type' = 'NIN'
"""


def measure(folder: Path, *, rounds: int, seconds: int) -> dict[str, Any]:
    """Compare HMRC's median with the NHS there, and with the NHS in trouble, round by round."""
    with (
        cluster.server() as postgres,
        Simulators(folder, limits=False) as simulators,
    ):
        where = Backends(postgres, NO_KAFKA, has_kafka=False)
        extra = {**FLOOR_OF_HASHES, **simulators.settings()}
        with govid(where, folder, "govid", extra=extra) as server:
            database_url = server.environment["GOVID_DATABASE_URL"]
            run = _Run(server.url, database_url, simulators, PER_SECOND * seconds)
            phases = asyncio.run(run.play(rounds))
    ratios = [round(away / there, 3) for there, away in phases]
    return {
        "per_second": PER_SECOND,
        "troubles": [TROUBLES[n % len(TROUBLES)] for n in range(rounds)],
        "ratio": round(median(ratios), 3),
        "ratios": ratios,
        "there_p50_ms": round(median(there for there, _ in phases), 2),
        "away_p50_ms": round(median(away for _, away in phases), 2),
        "each_p50_ms": [[round(there, 2), round(away, 2)] for there, away in phases],
    }


class _Run:
    """One govid, and people who have never been there before in each phase."""

    def __init__(self, url: str, database_url: str, simulators: Simulators, people: int) -> None:
        self._arrivals = PacedRegistrations(url, PER_SECOND)
        self._database_url = database_url
        self._simulators = simulators
        self._people = people
        self._known = 0

    async def play(self, rounds: int) -> list[tuple[float, float]]:
        """Return the medians of each round in ms: with the NHS there, and in trouble."""
        connection: Any = await asyncpg.connect(self._database_url)
        try:
            await self._phase(connection, "")
            return [
                (
                    await self._phase(connection, ""),
                    await self._phase(connection, TROUBLES[n % len(TROUBLES)]),
                )
                for n in range(rounds)
            ]
        finally:
            await connection.close()

    async def _phase(self, connection: Any, trouble: str) -> float:
        people = build_claimants(self._people, start=self._known)
        self._known += self._people
        await add_to_departments(self._simulators.url, people)
        last = await connection.fetchval(_LAST)
        await self._simulators.fail("nhs", trouble)
        await self._arrivals.register(people)
        await _verified(connection, "NIN")
        await self._simulators.fail("nhs", "")
        await _verified(connection, "NIN", "NHS")
        if (answered := self._arrivals.answers).keys() != {201}:
            raise RuntimeError(f"registrations were answered with {dict(answered)}")
        return float(median(row[0] for row in await connection.fetch(_DELAYS, last)))


async def _verified(connection: Any, *kinds: str) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while waiting := await connection.fetchval(_WAITING, list(kinds)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{waiting} still wait after {SETTLE_SECONDS} s")
        await asyncio.sleep(0.1)
