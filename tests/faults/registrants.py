"""Registrations that are repeated until a server that keeps being killed has accepted them."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import httpx
from nhs_number.validate import calculate_checksum

PASSWORD = "words that no one guesses"
PATIENCE_SECONDS = 60


class Applicant(NamedTuple):
    """A person who wants an account."""

    email: str
    identifier_type: str
    identifier_value: str

    def body(self) -> dict[str, str]:
        """Return the registration as a client sends it."""
        return {
            "email": self.email,
            "password": PASSWORD,
            "identifierType": self.identifier_type,
            "identifierValue": self.identifier_value,
        }


class RegistrationLoad:
    """Registers applicants, a few at a time.

    `admitted` are the ids that came with a 201. `unanswered` are the addresses of those whose
    connection broke, and whose next attempt was answered that the account exists already.
    """

    def __init__(self, url: str, applicants: Sequence[Applicant], at_a_time: int = 8) -> None:
        """Register *applicants* at *url*."""
        self.admitted: dict[str, UUID] = {}
        self.unanswered: set[str] = set()
        self.seconds: list[float] = []
        """How long each 201 took, without the attempts before it."""
        self._url = url
        self._waiting = list(reversed(applicants))
        self._at_a_time = at_a_time
        self._changed = asyncio.Condition()

    async def register(self) -> None:
        """Register everybody.

        Raises:
            RuntimeError: an answer was none of 201, 503, and 400 after a connection that broke.
            TimeoutError: the server stayed away.
        """
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=30) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self._at_a_time):
                group.create_task(self._work(client))

    async def wait_for(self, accounts: int) -> None:
        """Return once so many have an account, and know it."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: len(self.admitted) + len(self.unanswered) >= accounts
            )

    async def _work(self, client: httpx.AsyncClient) -> None:
        while self._waiting:
            applicant = self._waiting.pop()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._insist(client, applicant)
            async with self._changed:
                self._changed.notify_all()

    async def _insist(self, client: httpx.AsyncClient, applicant: Applicant) -> None:
        broke = False
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                answer = await client.post("/api/auth/register", json=applicant.body())
            except httpx.ConnectError:
                # Nothing listens: the request was never sent.
                await asyncio.sleep(0.05)
                continue
            except httpx.TransportError:
                broke = True
                continue
            if answer.status_code == httpx.codes.CREATED:
                self.seconds.append(clock() - began)
                self.admitted[applicant.email] = UUID(answer.json()["id"])
            elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                # Too many passwords at a time for this machine: the answer says to come again.
                await asyncio.sleep(float(answer.headers["Retry-After"]))
                continue
            elif answer.status_code == httpx.codes.BAD_REQUEST and broke:
                self.unanswered.add(applicant.email)
            else:
                raise RuntimeError(f"a registration was answered with {answer.status_code}")
            return


def build_applicants(count: int, *, group: str = "fault", start: int = 0) -> list[Applicant]:
    """Return *count* different people, half of them with an NHS number.

    Another *start*, by *count* or more, gives people with other identifiers.
    """
    numbers = _nhs_numbers(999_100_000 + 2 * start)
    identifiers = (
        ("NHS", next(numbers)) if n % 2 else ("NIN", f"AA{n:06}A")
        for n in range(start, start + count)
    )
    return [
        Applicant(f"{group}.{n}@example.com", kind, value)
        for n, (kind, value) in enumerate(identifiers)
    ]


def _nhs_numbers(start: int) -> Iterator[str]:
    """Yield well-formed numbers of the range that is never issued (999...)."""
    for n in range(start, 999_999_999):
        digit = calculate_checksum(str(n))
        # A remainder of ten has no digit: those numbers are not issued.
        if digit in range(10):
            yield f"{n}{digit}"


def moments(total: int, kills: int, seed: int) -> Iterator[tuple[int, float]]:
    """Yield when to kill: after so many accounts, and some seconds more.

    The same seed gives the same moments, one in each of *kills* equal parts of the run.
    """
    dice = random.Random(seed)  # noqa: S311 - chance, not secrecy
    part = total // kills
    for n in range(kills):
        yield n * part + dice.randrange(part), dice.uniform(0, 0.05)


async def sign_in(client: httpx.AsyncClient, email: str) -> dict[str, Any]:
    """Return the headers of a client that is signed in as *email*."""
    answer = await client.post("/api/auth/login", json={"email": email, "password": PASSWORD})
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
