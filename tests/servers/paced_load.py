"""Requests at an even pace, with the answer to each of them.

A machine that cannot keep the pace gets fewer requests, not a queue of them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Literal, NamedTuple

import httpx

from tests.faults.registrants import Applicant

READS_PER_SECOND = 85
REGISTRATIONS_PER_SECOND = 15
"""Each leads to four events and more: registered, request and result of the verification, verified.
"""
MOST_READS = 40
MOST_REGISTRATIONS = 10
"""Of each kind so many wait for their answers at most."""
PATIENCE_SECONDS = 60
REUSE_SECONDS = 1.0
"""An idle connection is used no longer than this. The server closes it after 5 seconds, and a
request that is sent at that moment gets no answer.
"""

Kind = Literal["profile", "registration"]


class Answer(NamedTuple):
    """One answer; the times are those of the event loop, in seconds."""

    kind: Kind
    sent_at: float
    received_at: float
    status: int
    retry_after: str | None
    problem: str | None
    """The type of the problem, if the request was refused."""
    email: str | None = None


class PacedLoad:
    """Reads of profiles and registrations, sent whether or not the earlier ones were answered."""

    def __init__(
        self, url: str, headers: Sequence[dict[str, str]], applicants: Sequence[Applicant]
    ) -> None:
        """Read as the account holders of *headers*, and register *applicants*."""
        self.answers: list[Answer] = []
        self._headers = headers
        self._applicants = applicants
        self._stopping = False
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(PATIENCE_SECONDS),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=REUSE_SECONDS),
        )

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Send requests for the length of the block, and then wait for their answers.

        Raises:
            ExceptionGroup: a request got no answer.
        """
        async with self._client, asyncio.TaskGroup() as group:
            group.create_task(self._pace(group, READS_PER_SECOND, MOST_READS, self._read))
            group.create_task(
                self._pace(group, REGISTRATIONS_PER_SECOND, MOST_REGISTRATIONS, self._register)
            )
            try:
                yield
            finally:
                self._stopping = True

    @property
    def registered(self) -> set[str]:
        """The addresses whose registration was answered with 201."""
        return {
            one.email for one in self.answers if one.email and one.status == httpx.codes.CREATED
        }

    def count_statuses(self) -> Counter[tuple[Kind, int]]:
        """Count the answers by kind and status."""
        return Counter((one.kind, one.status) for one in self.answers)

    async def wait_for(self, holds: Callable[[], bool]) -> None:
        """Return once *holds* is true of the answers.

        Raises:
            TimeoutError: it did not become true.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                await asyncio.sleep(0.02)

    async def _pace(
        self,
        group: asyncio.TaskGroup,
        per_second: int,
        most_at_a_time: int,
        send: Callable[[int], Awaitable[None]],
    ) -> None:
        clock = asyncio.get_running_loop().time
        free = asyncio.Semaphore(most_at_a_time)
        numbers = count()
        due_at = clock()
        while not self._stopping:
            await free.acquire()
            task = group.create_task(send(next(numbers)))
            task.add_done_callback(lambda _: free.release())
            due_at = max(due_at + 1 / per_second, clock())
            await asyncio.sleep(due_at - clock())

    async def _read(self, number: int) -> None:
        headers = self._headers[number % len(self._headers)]
        await self._send("profile", self._client.build_request("GET", PROFILE, headers=headers))

    async def _register(self, number: int) -> None:
        person = self._applicants[number]
        request = self._client.build_request("POST", "/api/auth/register", json=person.body())
        await self._send("registration", request, person.email)

    async def _send(self, kind: Kind, request: httpx.Request, email: str | None = None) -> None:
        clock = asyncio.get_running_loop().time
        sent_at = clock()
        answer = await self._client.send(request)
        self.answers.append(
            Answer(
                kind=kind,
                sent_at=sent_at,
                received_at=clock(),
                status=answer.status_code,
                retry_after=answer.headers.get("retry-after"),
                problem=answer.json()["type"] if answer.is_error else None,
                email=email,
            )
        )


PROFILE = "/api/auth/profile"
