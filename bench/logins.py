"""How much slower a profile gets while twenty people sign in at a time, over and over.

The hash is the one that ships. The crowd runs in a process of its own (`python -m bench.logins`),
so that its work is not taken for the server's; all share the machine's cores.
"""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import httpx

from bench.backends import backends, govid, register
from bench.numbers import percentile
from tests.faults.registrants import PASSWORD, build_applicants

CROWD = 20
PROBES_PER_SECOND = 100


def measure(folder: Path, *, rounds: int, seconds: int) -> dict[str, Any]:
    """Ask for a profile at an even pace, in turn idle and beside the crowd."""
    idle: list[float] = []
    busy: list[float] = []
    with backends() as where, govid(where, folder, "govid") as server:
        token = asyncio.run(register(server.url, CROWD))[0]
        asyncio.run(_probe(server.url, token, 2))
        crowds = []
        for _ in range(rounds):
            idle.append(percentile(asyncio.run(_probe(server.url, token, seconds)), 99))
            with _crowd(server.url) as crowd:
                asyncio.run(_probe(server.url, token, 2))
                busy.append(percentile(asyncio.run(_probe(server.url, token, seconds)), 99))
            crowds.append(crowd)
    return {
        "idle_p99_ms": round(median(idle), 2),
        "busy_p99_ms": round(median(busy), 2),
        "p99_ratio": round(median(busy) / median(idle), 2),
        "logins": [dict(crowd.answers) for crowd in crowds],
        "logins_per_second": round(
            median(crowd.answers["200"] / crowd.seconds for crowd in crowds), 1
        ),
        "each_round": [[round(a, 2), round(b, 2)] for a, b in zip(idle, busy, strict=True)],
        "probes_per_second": PROBES_PER_SECOND,
        "crowd": CROWD,
    }


async def _probe(url: str, token: str, seconds: int) -> list[float]:
    """Return the milliseconds of each answer. A late answer does not put the next question off."""
    clock = asyncio.get_running_loop().time
    taken: list[float] = []

    async def ask(client: httpx.AsyncClient) -> None:
        began = clock()
        answer = await client.get("/api/auth/profile")
        taken.append((clock() - began) * 1000)
        answer.raise_for_status()

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        began = clock()
        for n in range(seconds * PROBES_PER_SECOND):
            await asyncio.sleep(began + n / PROBES_PER_SECOND - clock())
            group.create_task(ask(client))
    return taken


class _Crowd:
    """How often the crowd got each answer, and in how many seconds."""

    def __init__(self) -> None:
        """Know nothing before the crowd has ended."""
        self.answers: Counter[str] = Counter()
        self.seconds = 0.0


@contextmanager
def _crowd(url: str) -> Iterator[_Crowd]:
    """Let the crowd sign in until the block ends; only then its figures are known."""
    crowd = _Crowd()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.logins", url], stdout=subprocess.PIPE, text=True
    )
    try:
        yield crowd
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=60)
    answers, crowd.seconds = json.loads(output)
    crowd.answers.update(answers)


async def _sign_in_until_told(url: str) -> tuple[Counter[str], float]:
    """Let everybody of the crowd sign in, again and again; return the answers and the seconds."""
    reported = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reported.set)
    answers: Counter[str] = Counter()

    async def insist(client: httpx.AsyncClient, email: str) -> None:
        while not reported.is_set():
            body = {"email": email, "password": PASSWORD}
            answer = await client.post("/api/auth/login", json=body)
            answers[str(answer.status_code)] += 1

    began = monotonic()
    async with (
        httpx.AsyncClient(base_url=url, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        for person in build_applicants(CROWD, group="bench"):
            group.create_task(insist(client, person.email))
    return answers, monotonic() - began


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_sign_in_until_told(sys.argv[1]))))
