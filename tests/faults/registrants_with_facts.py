"""Registrations with claimed facts, of people whom the simulated departments know."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx

from tests.faults.registrants import Applicant, build_applicants

CLAIMS = {"givenName": "Alex", "familyName": "Example", "dateOfBirth": "1980-01-01"}
"""All of them are called the same; their numbers tell them apart."""


def build_claimants(count: int, *, start: int) -> list[Applicant]:
    """Return *count* people, half of each department; from another *start* they are others."""
    return build_applicants(count, group=f"claimant-{start}", start=start)


async def add_to_departments(url: str, people: Sequence[Applicant]) -> None:
    """Let the simulated departments at *url* know *people*."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for person in people:
            department, record = _record(person)
            answer = await client.put(f"/simulator/{department}/people", json=record)
            answer.raise_for_status()


class PacedRegistrations:
    """Registers people at an even pace, however slowly they are answered.

    `answers` counts how, by status; `asked_again` how often a registration had to be repeated,
    because this machine had too many passwords to hash at once.
    """

    def __init__(self, url: str, per_second: float) -> None:
        """Register at *url*, so many a second."""
        self.answers: Counter[int] = Counter()
        self.asked_again = 0
        self._url = url
        self._pause = 1 / per_second

    async def register(self, people: Sequence[Applicant]) -> None:
        """Register all *people*; count how they were answered."""
        clock = asyncio.get_running_loop().time
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=30, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            began = clock()
            for n, person in enumerate(people):
                await asyncio.sleep(began + n * self._pause - clock())
                group.create_task(self._register(client, person))

    async def _register(self, client: httpx.AsyncClient, person: Applicant) -> None:
        body = {**person.body(), **CLAIMS}
        while True:
            answer = await client.post("/api/auth/register", json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            self.asked_again += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        self.answers[answer.status_code] += 1


def _record(person: Applicant) -> tuple[str, dict[str, Any]]:
    given, family, born = CLAIMS.values()
    if person.identifier_type == "NHS":
        record = {"number": person.identifier_value, "given": [given], "family": family}
        return "nhs", {**record, "born": born}
    return "hmrc", {"nino": person.identifier_value, "first": given, "last": family, "born": born}
