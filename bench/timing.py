"""Whether the time of an answer tells who has an account, or who is locked out (R4).

Refused sign-ins are compared, and requests for a link to reset a password.

The hash is at its floor, where everything else weighs most. Accounts are rotated, the order is
shuffled, one asks after the other; limits are raised, as six wrong tries would lock the wrong ones.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import httpx

from bench.backends import NO_KAFKA, Backends, govid
from tests.backends import cluster
from tests.backends.govid import FLOOR_OF_HASHES
from tests.faults.registrants import RegistrationLoad, build_applicants

TRIES = 200
ACCOUNTS = 25
RAISED = {"GOVID_LOGIN_FAILURES": "1000000", "GOVID_ADDRESS_FAILURES": "0"}
MAIL = {
    "GOVID_MAIL": "smtp",
    "GOVID_MAIL_FROM": "govid@example.com",
    "GOVID_SMTP_HOST": "127.0.0.1",
    "GOVID_SMTP_PORT": "1",
}
"""No mail server listens there: e-mails are stored, and wait."""
PASSWORD = "not the password of anyone"

LOCK = """
    UPDATE identity.throttle t SET
        locks = 1, locked_at = clock_timestamp(), locked_until = clock_timestamp() + interval '1 h'
    FROM identity.account a
    WHERE a.id = t.account_id AND a.email LIKE 'locked.%' AND t.flow = 'sign-in'
"""

Groups = Mapping[str, Sequence[str]]
Medians = Mapping[str, float]
Attempt = Callable[[httpx.AsyncClient, str], Awaitable[float]]


def measure(folder: Path, *, rounds: int) -> dict[str, Any]:
    """Try to sign in without an account, with a wrong password, and with a locked account."""
    with cluster.server() as postgres:
        where = Backends(postgres, NO_KAFKA, has_kafka=False)
        extra = {**FLOOR_OF_HASHES, **RAISED, **MAIL}
        with govid(where, folder, "govid", extra=extra) as server:
            runs = asyncio.run(_runs(server.url, server.environment["GOVID_DATABASE_URL"], rounds))
    return {
        **_summary([sign_in for sign_in, _ in runs]),
        **{f"reset_{name}": value for name, value in _summary([r for _, r in runs]).items()},
        "tries": TRIES,
    }


def _summary(runs: Sequence[Medians]) -> dict[str, Any]:
    spreads = [max(run.values()) / min(run.values()) - 1 for run in runs]
    return {
        "spread_percent": round(median(spreads) * 100, 2),
        "each_spread_percent": [round(spread * 100, 2) for spread in spreads],
        "median_ms": {kind: round(median(run[kind] for run in runs), 3) for kind in runs[0]},
        "each_median_ms": [{kind: round(ms, 3) for kind, ms in run.items()} for run in runs],
    }


async def _runs(url: str, database_url: str, rounds: int) -> list[tuple[Medians, Medians]]:
    """Return the medians of each run, in milliseconds: of sign-ins, and of requests for a link."""
    groups = await _people(url)
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for address in (one for group in groups.values() for one in group):
            # Each name is counted once before: its first try makes its row.
            await _sign_in(client, address)
            await _reset(client, address)
        connection = await asyncpg.connect(database_url)
        locked = await connection.execute(LOCK)
        await connection.close()
        if locked != f"UPDATE {ACCOUNTS}":
            raise RuntimeError(f"to lock some accounts was answered with {locked}")
        known = {kind: groups[kind] for kind in ("unknown", "wrong")}
        return [
            (await _run(client, groups, _sign_in), await _run(client, known, _reset))
            for _ in range(rounds)
        ]


async def _people(url: str) -> Groups:
    """Register those of two groups; return the addresses of all three."""
    wrong = build_applicants(ACCOUNTS, group="wrong")
    locked = build_applicants(ACCOUNTS, group="locked", start=ACCOUNTS)
    unknown = build_applicants(ACCOUNTS, group="unknown", start=2 * ACCOUNTS)
    await RegistrationLoad(url, [*wrong, *locked]).register()
    groups = {"unknown": unknown, "wrong": wrong, "locked": locked}
    return {kind: [one.email for one in group] for kind, group in groups.items()}


async def _run(client: httpx.AsyncClient, groups: Groups, attempt: Attempt) -> Medians:
    taken: dict[str, list[float]] = {kind: [] for kind in groups}
    for n in range(TRIES):
        # One of each, in any order: whatever else the machine does meets all of them alike.
        for kind in random.sample(list(groups), len(groups)):
            taken[kind].append(await attempt(client, groups[kind][n % ACCOUNTS]))
    return {kind: median(values) for kind, values in taken.items()}


async def _sign_in(client: httpx.AsyncClient, address: str) -> float:
    body = {"email": address, "password": PASSWORD}
    return await _milliseconds(client, "/api/auth/login", body, httpx.codes.UNAUTHORIZED)


async def _reset(client: httpx.AsyncClient, address: str) -> float:
    return await _milliseconds(client, "/api/auth/reset", {"email": address}, httpx.codes.ACCEPTED)


async def _milliseconds(
    client: httpx.AsyncClient, path: str, body: Mapping[str, str], expected: int
) -> float:
    """Return how long the answer took."""
    began = time.perf_counter()
    answer = await client.post(path, json=body)
    taken = (time.perf_counter() - began) * 1000
    if answer.status_code != expected:
        raise RuntimeError(f"{path} answered with {answer.status_code}")
    return taken
