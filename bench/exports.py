"""The largest account that is permitted, exported by many at once: memory, and health meanwhile."""

import asyncio
import http.client
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

from bench.backends import NO_KAFKA, Backends, govid, registered
from bench.numbers import percentile
from tests.backends import cluster
from tests.backends.govid import FLOOR_OF_HASHES, Govid

IN_PARALLEL = 14
RECORDS = 100
PAST_APPOINTMENTS = 500
LIVE_APPOINTMENTS = 4
PAUSE_SECONDS = 0.005
PATIENT = {"name": "A" * 200, "nhsNumber": "9434765919", "medicalHistory": "\U0001f600" * 10_000}
TAX_RECORD = {
    "name": "A" * 200,
    "taxNumber": "1" * 10,
    "taxYear": "2022-2023",
    "taxAmount": "9999999999.99",
}
APPOINTMENTS = """
    INSERT INTO nhs.appointment (id, account_id, patient_identifier, requested_datetime,
        doctor_specialty, reason, status, confirmed_datetime, confirmation_details, created_at,
        updated_at)
    SELECT gen_random_uuid(), account.id, repeat('9', 100), now(), repeat('S', 100),
        repeat('r', 1000), CASE WHEN n <= $1 THEN 'CONFIRMED' ELSE 'COMPLETED' END, now(),
        repeat('d', 1000), now(), now()
    FROM identity.account, generate_series(1, $1::int + $2::int) AS n
"""


def measure(folder: Path, *, seconds: int) -> dict[str, Any]:
    """Export without a pause for *seconds* on each of the connections; ask for health meanwhile."""
    extra = {**FLOOR_OF_HASHES, "GOVID_PASSWORD_CHECKS": "false"}
    with ExitStack() as stack:
        where = Backends(stack.enter_context(cluster.server()), NO_KAFKA, has_kafka=False)
        server = stack.enter_context(govid(where, folder, "exports", extra=extra))
        # An account makes one export at a time.
        tokens = registered(server.url, IN_PARALLEL)
        return asyncio.run(_measure(server, tokens, seconds))


async def _measure(server: Govid, tokens: Sequence[str], seconds: int) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for token in tokens:
            await _fill(client, token)
        await _add_appointments(server)
        rest = server.resident_mb()
        ends_at = time.monotonic() + seconds
        sizes: list[int] = []
        refused: list[int] = []
        # From a process of its own: the exporting clients have enough to do.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as prober:
            health = prober.submit(_probe, server.url, seconds)
            async with asyncio.TaskGroup() as group:
                for token in tokens:
                    group.create_task(_export(client, token, ends_at, sizes, refused))
                highest = group.create_task(_highest(server, ends_at))
            samples = await asyncio.wrap_future(health)
    return {
        "in_parallel": IN_PARALLEL,
        "exports": len(sizes),
        "refused": len(refused),
        "export_mb": round(max(sizes) / 1e6, 2),
        "resident_mb_at_rest": round(rest, 1),
        "resident_mb": round(highest.result(), 1),
        "health_samples": len(samples),
        "health_p50_ms": round(percentile(samples, 50), 2),
        "health_p99_ms": round(percentile(samples, 99), 2),
    }


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _fill(client: httpx.AsyncClient, token: str) -> None:
    for path, body in (("/api/nhs/patients", PATIENT), ("/api/hmrc/tax-records", TAX_RECORD)):
        for _ in range(RECORDS):
            (await client.post(path, json=body, headers=_bearer(token))).raise_for_status()


async def _add_appointments(server: Govid) -> None:
    connection = await asyncpg.connect(server.environment["GOVID_DATABASE_URL"])
    try:
        await connection.execute(APPOINTMENTS, LIVE_APPOINTMENTS, PAST_APPOINTMENTS)
    finally:
        await connection.close()


async def _export(
    client: httpx.AsyncClient, token: str, ends_at: float, sizes: list[int], refused: list[int]
) -> None:
    while time.monotonic() < ends_at:
        size = 0
        async with client.stream("GET", "/api/auth/export", headers=_bearer(token)) as answer:
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                # Two are made at a time, and a request waits at most five seconds for its slot.
                refused.append(answer.status_code)
                await asyncio.sleep(float(answer.headers["Retry-After"]))
                continue
            answer.raise_for_status()
            async for part in answer.aiter_raw():
                size += len(part)
        sizes.append(size)


def _probe(url: str, seconds: int) -> list[float]:
    """Return how many milliseconds each answer of `/health/live` took."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    samples = []
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        began = time.perf_counter()
        connection.request("GET", "/health/live")
        answer = connection.getresponse()
        answer.read()
        samples.append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE_SECONDS)
    return samples


async def _highest(server: Govid, ends_at: float) -> float:
    highest = 0.0
    while time.monotonic() < ends_at:
        highest = max(highest, server.resident_mb())
        await asyncio.sleep(0.1)
    return highest
