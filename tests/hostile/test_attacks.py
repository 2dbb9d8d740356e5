"""Ordinary clients do not notice an attack: `/health/live` answers in 50 ms, 99 times of 100."""

import asyncio
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.backends import cluster
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.hostile.attacks import ATTACKS
from tests.http.client import NIN, Client

SECONDS = 22.0
SAMPLES = 1_000
LIMIT_MS = {name: 100.0 if name == "password flood" else 50.0 for name in ATTACKS}
EXTRA = {
    **FLOOR_OF_HASHES,
    "GOVID_PASSWORD_CHECKS": "false",
    # Few accounts make all exports here, where an attacker would need many.
    "GOVID_QUOTA_EXPORTS_PER_HOUR": "0",
}
RECORDS = 100
"""The most that an account may file."""
PAUSE_SECONDS = 0.005
"""Between two samples, so that the prober is no attack of its own."""
LONGEST = {"name": "A" * 200, "nhsNumber": "9434765919", "medicalHistory": "\U0001f600" * 10_000}
FIRST_SECONDS = 1.0
"""Of an attack, before samples are taken: all of its connections are there then."""


@pytest.fixture(scope="module")
def govid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Govid]:
    """Return a server under production's settings, as a process of its own."""
    with cluster.server() as url:
        server = Govid(
            tmp_path_factory.mktemp("hostile"),
            database_url=url,
            kafka="127.0.0.1:1",
            extra=EXTRA,
        )
        server.migrate()
        with server:
            yield server


@pytest.fixture(scope="module")
def tokens(govid: Govid) -> list[str]:
    """Return the tokens of citizens, after the server has been warmed up."""
    return asyncio.run(_warm(govid.url))


async def _warm(url: str) -> list[str]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        client = Client(http)
        connections, _ = ATTACKS["largest export"]
        tokens = [
            await client.citizen(
                {
                    **NIN,
                    "email": f"hostile{n}@example.com",
                    "identifierValue": f"AB{123_400 + n}C",
                }
            )
            for n in range(connections)
        ]
        for token in tokens:
            for _ in range(RECORDS):
                filed = await client.post("/api/nhs/patients", LONGEST, token)
                assert filed.status_code == 201, filed.text
        for _ in range(200):
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/api/auth/profile", tokens[0])).status_code == 200
        assert (await client.get("/docs/swagger-ui-bundle.js")).status_code == 200
        return tokens


def probe(url: str, seconds: float) -> list[float]:
    """Ask for `/health/live` for so many *seconds*; return the milliseconds of each answer."""
    address = urlsplit(url)
    samples: list[float] = []
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
        # A new connection is a client that comes, the next requests on it one that stays.
        samples += [_asked(connection) for _ in range(5)]
        connection.close()
    return samples


def _asked(connection: http.client.HTTPConnection) -> float:
    """Ask once; return the milliseconds to the end of the answer."""
    began = time.perf_counter()
    connection.request("GET", "/health/live")
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - began) * 1000
    assert answer.status == 200
    time.sleep(PAUSE_SECONDS)
    return took


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ATTACKS)
def test_ordinary_clients_do_not_notice(
    govid: Govid, tokens: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "tests.hostile.attacks", name, govid.url]
    with subprocess.Popen(
        [*command, str(SECONDS + FIRST_SECONDS), *tokens],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as attack:
        time.sleep(FIRST_SECONDS)
        samples = sorted(probe(govid.url, SECONDS))
        out, _ = attack.communicate(timeout=60)
    p50, p99 = samples[len(samples) // 2], samples[len(samples) * 99 // 100]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{name}: {len(samples)} samples, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"worst {samples[-1]:.1f} ms, {out.strip()} connections\n"
        )
    assert attack.returncode == 0
    assert len(samples) >= SAMPLES
    assert p99 <= LIMIT_MS[name]
