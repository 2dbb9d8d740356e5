"""A signing key is rotated while people read and renew at two servers.

    python -m tests.faults.rotation --rate 200

prints how many requests were answered, and how many were not as they should be; exits with 1 if
there was any. An external verifier checks every new token, too, with a key set that it keeps for
as long as its header allows.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import httpx
import jwt

from tests.backends import cluster
from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.faults.registrants import PASSWORD, build_applicants

MAX_AGE_SECONDS = 1
PUBLISH_SECONDS = 12
SETTINGS = {
    **FLOOR_OF_HASHES,
    "GOVID_JWKS_MAX_AGE_SECONDS": str(MAX_AGE_SECONDS),
    "GOVID_KEY_PUBLISH_SECONDS": str(PUBLISH_SECONDS),
}
"""The shortest times that are allowed, so that a rotation takes seconds instead of minutes."""

RENEW_EVERY = 20
TAIL_SECONDS = 3.0
KEEP_ALIVE_SECONDS = 2.0
DEADLINE_SECONDS = 90.0
PROFILE = "/api/auth/profile"


class Verifier:
    """An external verifier of tokens that fetches the keys as rarely as it may."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.failures = 0
        self.kids: Counter[str] = Counter()
        self._http = http
        self._url = url
        self._keys: dict[str, Any] = {}
        self._asked_at = float("-inf")

    async def check(self, token: str) -> None:
        """Count the token as good, or as one that was refused."""
        if time.monotonic() - self._asked_at > MAX_AGE_SECONDS:
            answer = await self._http.get(f"{self._url}/.well-known/jwks.json")
            self._keys = {key["kid"]: jwt.PyJWK(key).key for key in answer.json()["keys"]}
            self._asked_at = time.monotonic()
        kid = jwt.get_unverified_header(token)["kid"]
        self.kids[kid] += 1
        try:
            jwt.decode(token, self._keys[kid], algorithms=["ES256"], audience="govid-api")
        except (KeyError, jwt.PyJWTError):
            self.failures += 1


class Person:
    """Reads at one server and the other in turn, and renews now and then."""

    def __init__(self, http: httpx.AsyncClient, urls: Sequence[str], verifier: Verifier) -> None:
        self.statuses: Counter[str] = Counter()
        self.milliseconds: list[float] = []
        self._http = http
        self._urls = urls
        self._verifier = verifier
        self._grant: dict[str, Any] = {}
        self._turn = 0

    async def sign_in(self, email: str) -> None:
        """Begin a session."""
        body = {"email": email, "password": PASSWORD}
        answer = await self._http.post(f"{self._urls[0]}/api/auth/sessions", json=body)
        answer.raise_for_status()
        self._grant = answer.json()

    async def live(self, pause: float, ended: asyncio.Event) -> None:
        """Send a request every *pause* seconds until all has *ended*."""
        due = time.monotonic()
        while not ended.is_set():
            self._turn += 1
            await self._request(self._urls[self._turn % len(self._urls)])
            due = max(due + pause, time.monotonic() - pause)
            await asyncio.sleep(due - time.monotonic())

    async def _request(self, url: str) -> None:
        began = time.perf_counter()
        try:
            if self._turn % RENEW_EVERY:
                headers = {"Authorization": f"Bearer {self._grant['access_token']}"}
                answer = await self._http.get(url + PROFILE, headers=headers)
            else:
                body = {"refresh_token": self._grant["refresh_token"]}
                answer = await self._http.post(f"{url}/api/auth/refresh", json=body)
        except httpx.TransportError as error:
            self.statuses[type(error).__name__] += 1
            return
        self.milliseconds.append((time.perf_counter() - began) * 1000)
        self.statuses[str(answer.status_code)] += 1
        if answer.request.method == "POST" and answer.is_success:
            self._grant = answer.json()
            await self._verifier.check(self._grant["access_token"])


class Outcome(NamedTuple):
    """What was seen."""

    seconds: float
    statuses: Counter[str]
    milliseconds: list[float]
    verifier: Verifier
    published: int
    """Keys in the set at the end: the new one, and the old one whose tokens may live."""


async def run(servers: Sequence[Govid], *, rate: int, people: int) -> Outcome:
    """Rotate once at *rate* requests a second, by so many people on the running *servers*."""
    urls = [server.url for server in servers]
    # A client that keeps a connection for as long as the server may send into one that is closing.
    limits = httpx.Limits(max_connections=people * 2, keepalive_expiry=KEEP_ALIVE_SECONDS)
    async with httpx.AsyncClient(timeout=30, limits=limits) as http:
        verifier = Verifier(http, urls[0])
        crowd = [Person(http, urls, verifier) for _ in range(people)]
        (applicant,) = build_applicants(1, group="rotation")
        (await http.post(f"{urls[0]}/api/auth/register", json=applicant.body())).raise_for_status()
        for person in crowd:
            await person.sign_in(applicant.email)
        ended, began = asyncio.Event(), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for person in crowd:
                group.create_task(person.live(people / rate, ended))
            new = await asyncio.to_thread(rotate, servers[0])
            await _everybody_has(verifier, new, people)
            await asyncio.sleep(TAIL_SECONDS)
            ended.set()
        seconds = time.monotonic() - began
        keys = (await http.get(f"{urls[1]}/.well-known/jwks.json")).json()["keys"]
    return Outcome(
        seconds=seconds,
        statuses=sum((person.statuses for person in crowd), Counter()),
        milliseconds=[each for person in crowd for each in person.milliseconds],
        verifier=verifier,
        published=len(keys),
    )


def rotate(server: Govid) -> str:
    """Do what an operator does; return the new key's id."""
    done = subprocess.run(
        [sys.executable, "-m", "govid", "keys", "rotate", "--reason", "a test", "--json"],
        cwd=server.folder,
        env=server.environment,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return str(json.loads(done.stdout)["kid"])


async def _everybody_has(verifier: Verifier, kid: str, people: int) -> None:
    """Wait until as many tokens of the new key were seen as there are people."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while verifier.kids[kid] < people:
            await asyncio.sleep(0.1)


def figures(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as numbers."""
    total = outcome.statuses.total()
    return {
        "requests": total,
        "per_second": round(total / outcome.seconds, 1),
        "failed": total - outcome.statuses["200"],
        "statuses": dict(outcome.statuses),
        "keys_seen": len(outcome.verifier.kids),
        "tokens_checked_outside": outcome.verifier.kids.total(),
        "refused_outside": outcome.verifier.failures,
        "keys_published_at_the_end": outcome.published,
        "median_ms": round(median(outcome.milliseconds), 1),
        "p99_ms": round(quantiles(outcome.milliseconds, n=100)[98], 1),
    }


def main() -> None:
    """Run it on backends of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--people", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="govid-faults-") as folder, cluster.server() as server:
        url = cluster.create(server, "rotation")
        servers = [
            Govid(Path(folder), database_url=url, kafka="127.0.0.1:1", extra=SETTINGS)
            for _ in range(2)
        ]
        servers[0].migrate()
        with servers[0], servers[1]:
            result = figures(asyncio.run(run(servers, **vars(options))))
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    sys.exit(result["failed"] + result["refused_outside"] > 0)


if __name__ == "__main__":
    main()
