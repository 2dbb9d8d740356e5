"""Writers that change accounts and emit events, and the ledger of the answers they got.

Each command takes the next number of its account, under the account's row lock: so the numbers of
an account follow the order of its commits, whatever the bus does. What the ledger knows comes from
the writers alone: which commands were acknowledged, which were not, and which gave up on purpose.
"""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid5

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from govid.bus import OperationContext, Transaction, UnitOfWork
from govid.bus.events import (
    AccessDecided,
    AppointmentRequested,
    Event,
    IdentifierType,
    VerificationRequested,
)
from tests.chaos.consumers import MOMENT
from tests.chaos.plan import ACCOUNTS, WRITING_SECONDS

COMMANDS = 300
"""How many have to be confirmed: each is at least one event, most are two."""
AT_A_TIME = 4
VERIFICATION = "verification"
APPOINTMENT = "appointment"
ACCESS = "access"
PEOPLE = UUID("8d2f8a3e-6c57-4c1e-9a56-0c9a4d9c2b11")
CONTEXT = OperationContext(correlation_id="chaos")
FAILED = (OSError, TimeoutError, PoolTimeout, DBAPIError, asyncpg.PostgresError,
          asyncpg.InterfaceError, asyncpg.InternalClientError)  # fmt: skip
NEXT = "UPDATE chaos.account SET n = n + 1 WHERE id = $1 AND stream = $2 RETURNING n"
NOTE = "INSERT INTO chaos.command (id, stream, account, n) VALUES ($1, $2, $3, $4)"


class GivenUp(Exception):
    """The writer changed its mind."""


class Ledger:
    """What the writers know about each command, by its number."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.confirmed: set[int] = set()
        self.unknown: set[int] = set()
        """Those whose writer met an error: they may have committed or not."""
        self.given_up: set[int] = set()
        self.errors: Counter[str] = Counter()

    def __len__(self) -> int:
        """Count the commands that were tried."""
        return len(self.confirmed) + len(self.unknown) + len(self.given_up)


class Writers:
    """Some tasks that write at a steady pace, until enough is confirmed."""

    def __init__(self, uow: UnitOfWork, seed: int) -> None:
        """Write through *uow* what *seed* says."""
        self.ledger = Ledger()
        self._uow = uow
        self._dice = random.Random(f"writers {seed}")  # noqa: S311 - chance, not secrecy
        self._next = 0

    async def run(self) -> None:
        """Write until enough commands are confirmed, at least for the time of writing."""
        pace = WRITING_SECONDS * AT_A_TIME / COMMANDS
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(self._write(pace))

    async def write_late(self, account: int, seconds: float, *, give_up: bool) -> None:
        """Write one command, and hold its row locks and its place for *seconds*, then commit."""
        number = self._number()
        await self._settle(number, self._late(number, account, seconds, give_up=give_up))

    async def _late(self, number: int, account: int, seconds: float, *, give_up: bool) -> None:
        async with self._uow.begin(CONTEXT) as tx:
            await _change(tx, number, VERIFICATION, account_number(account))
            # Exactly what happens before a COMMIT, but earlier.
            await self._uow._outbox.write(tx.driver, tx.drain_emissions())
            await asyncio.sleep(seconds)
            if give_up:
                raise GivenUp

    async def _write(self, pace: float) -> None:
        while len(self.ledger.confirmed) < COMMANDS:
            number = self._number()
            await asyncio.gather(
                self._settle(number, self._command(number)),
                asyncio.sleep(self._dice.uniform(0.5, 1.5) * pace),
            )

    async def _settle(self, number: int, command: Any) -> None:
        try:
            # A client that goes away cancels its request at any moment.
            hurry = self._dice.uniform(0, 0.01) if self._dice.random() < 0.03 else 10
            async with asyncio.timeout(hurry):
                await command
        except GivenUp:
            self.ledger.given_up.add(number)
        except FAILED as error:
            self.ledger.unknown.add(number)
            self.ledger.errors[type(error).__name__] += 1
        else:
            self.ledger.confirmed.add(number)

    async def _command(self, number: int) -> None:
        dice = self._dice.random()
        # Of several accounts in the order of their ids: the row locks are the writers' own affair.
        chosen = sorted(
            self._dice.sample(range(ACCOUNTS), k=2 if dice < 0.2 else 1), key=account_number
        )
        stream = APPOINTMENT if 0.7 < dice < 0.9 else VERIFICATION
        async with self._uow.begin(CONTEXT) as tx:
            if dice > 0.9:
                await tx.driver.execute(NOTE, number, ACCESS, None, None)
                tx.emit(_event(ACCESS, None, number))
                return
            for account in chosen:
                await _change(tx, number, stream, account_number(account))
            if dice < 0.05:
                raise GivenUp
            if dice < 0.1:
                await self._in_vain(tx)

    async def _in_vain(self, tx: Transaction) -> None:
        """Emit in a savepoint that is rolled back: no subscriber may ever receive number 0."""
        with suppress(GivenUp):
            async with tx.savepoint():
                tx.emit(_event(VERIFICATION, account_number(0), 0))
                raise GivenUp

    def _number(self) -> int:
        self._next += 1
        return self._next


async def _change(tx: Transaction, number: int, stream: str, account: UUID) -> None:
    n = await tx.driver.fetchval(NEXT, account, stream)
    await tx.driver.execute(NOTE, number, stream, account, n)
    tx.emit(_event(stream, account, n))


def _event(stream: str, account: UUID | None, n: int) -> Event:
    if stream == ACCESS or account is None:
        return AccessDecided(
            timestamp=MOMENT, resource=f"/chaos/{n}", granted=True, correlation_id=str(n)
        )
    if stream == APPOINTMENT:
        return AppointmentRequested(
            appointment_id=uuid5(account, str(n)),
            user_id=account,
            patient_identifier="999 000 0000",
            requested_datetime=MOMENT,
            doctor_specialty="Chaos",
            timestamp=MOMENT,
            correlation_id=str(n),
        )
    return VerificationRequested(
        user_id=account,
        identifier_type=IdentifierType.NHS,
        identifier_value="999 000 0000",
        timestamp=MOMENT,
        correlation_id=str(n),
    )


def account_number(account: int) -> UUID:
    """Return the id of the account of that number: the same in every run."""
    return uuid5(PEOPLE, str(account))
