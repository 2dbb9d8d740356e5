"""From the COMMIT of a registration to the COMMIT of `verified`, as PostgreSQL timed them.

Both transactions insert an event that is never updated, so the event's `xmin` is the transaction,
and `track_commit_timestamp` keeps the moment its COMMIT was written. No client's clock takes part,
nor the time that the client's answer takes.
"""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from bench.backends import backends, govid
from bench.numbers import percentile
from tests.backends.govid import FLOOR_OF_HASHES
from tests.faults import evidence
from tests.faults.registrants import Applicant, build_applicants

PER_SECOND = 20
WARM_UP = 40
SETTLE_SECONDS = 30

DELAYS = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(verified.xmin)
                            - pg_xact_commit_timestamp(registered.xmin)) * 1000
    FROM bus.event registered
    JOIN bus.event verified
        ON verified.key = registered.key AND verified.type = 'identity.account.verified'
    WHERE registered.type = 'identity.account.registered'
    ORDER BY registered.pos
"""


def measure(folder: Path, *, seconds: int) -> dict[str, Any]:
    """Register at an even pace for *seconds*, with the hash at its floor and nothing pinned."""
    with backends() as where, govid(where, folder, "govid", extra=FLOOR_OF_HASHES) as server:
        count = WARM_UP + PER_SECOND * seconds
        url = server.environment["GOVID_DATABASE_URL"]
        delays, busy = asyncio.run(
            _measure(server.url, url, build_applicants(count, group="paced"))
        )
    return {
        "per_second": PER_SECOND,
        "registrations": len(delays),
        "refused_as_busy": busy,
        "p50_ms": round(percentile(delays, 50), 2),
        "p99_ms": round(percentile(delays, 99), 2),
        "max_ms": round(max(delays), 2),
        "kafka": where.has_kafka,
    }


async def _measure(url: str, database_url: str, people: list[Applicant]) -> tuple[list[float], int]:
    clock = asyncio.get_running_loop().time
    answers: Counter[int] = Counter()
    async with (
        httpx.AsyncClient(base_url=url, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        began = clock()
        for n, person in enumerate(people):
            # An open loop: a slow answer does not put the next registration off.
            await asyncio.sleep(began + n / PER_SECOND - clock())
            group.create_task(_register(client, person, answers))
    await evidence.wait_until_settled(database_url, SETTLE_SECONDS)
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(DELAYS)
    finally:
        await connection.close()
    if len(rows) != answers[httpx.codes.CREATED]:
        raise RuntimeError(f"{len(rows)} accounts were verified, after {dict(answers)}")
    return [float(row[0]) for row in rows[WARM_UP:]], answers[httpx.codes.SERVICE_UNAVAILABLE]


async def _register(client: httpx.AsyncClient, person: Applicant, answers: Counter[int]) -> None:
    answer = await client.post("/api/auth/register", json=person.body())
    answers[answer.status_code] += 1
