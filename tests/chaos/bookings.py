"""Patients who ask for appointments at an even pace, and how long each was kept waiting."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import httpx

from tests.faults.registrants import RegistrationLoad, build_applicants, sign_in

PATIENTS = 24
EVENTS_A_BOOKING = 3
"""The appointment request, the decision, and the record of the access decision."""
AT_A_TIME = 50
"""As many may wait for an answer; who comes then is not served, and counts as an error."""


class Answer(NamedTuple):
    """One request: when it was due, how long it took from then, and the status (0 if none)."""

    due: float
    seconds: float
    status: int


class Bookings:
    """Books at a steady pace, however slowly it is answered."""

    def __init__(self, url: str, events_per_second: float) -> None:
        """Book at *url* so often that *events_per_second* arise."""
        self.answers: list[Answer] = []
        self._url = url
        self._pause = EVENTS_A_BOOKING / events_per_second
        self._patients: list[tuple[str, dict[str, Any]]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def admit(self) -> None:
        """Register the patients, and sign them in as soon as they are verified."""
        people = [one for one in build_applicants(2 * PATIENTS) if one.identifier_type == "NHS"]
        await RegistrationLoad(self._url, people).register()
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as client:
            for one in people:
                self._patients.append((one.identifier_value, await sign_in(client, one.email)))

    async def run(self) -> None:
        """Book until cancelled."""
        limits = httpx.Limits(max_connections=AT_A_TIME, max_keepalive_connections=AT_A_TIME)
        async with httpx.AsyncClient(base_url=self._url, timeout=30, limits=limits) as client:
            try:
                await self._book(client)
            finally:
                for task in self._asking:
                    task.cancel()
                with suppress(ValueError):
                    await asyncio.wait(self._asking)

    async def _book(self, client: httpx.AsyncClient) -> None:
        due = time.monotonic()
        for patient in self._again_and_again():
            due += self._pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if len(self._asking) >= AT_A_TIME:
                self.answers.append(Answer(due, 0.0, 0))
                continue
            task = asyncio.create_task(self._ask(client, due, *patient))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(
        self, client: httpx.AsyncClient, due: float, number: str, headers: dict[str, Any]
    ) -> None:
        appointment_request = {
            "patient_identifier": number,
            "requested_datetime": "2099-03-02T09:00:00Z",
            "doctor_specialty": "General practice",
        }
        status = 0
        with suppress(httpx.TransportError):
            answer = await client.post(
                "/api/nhs/appointments", json=appointment_request, headers=headers
            )
            status = answer.status_code
        self.answers.append(Answer(due, time.monotonic() - due, status))

    def _again_and_again(self) -> Iterator[tuple[str, dict[str, Any]]]:
        while True:
            yield from self._patients


def p99s(answers: Sequence[Answer], since: float, until: float, window: float) -> list[float]:
    """Return the 99th percentile of each whole *window* from *since* to *until*, in ms."""
    found = []
    for n in range(round((until - since) / window)):
        start = since + n * window
        inside = sorted(a.seconds for a in answers if start <= a.due < start + window)
        if inside:
            found.append(round(1000 * inside[min(len(inside) - 1, len(inside) * 99 // 100)], 1))
    return found
