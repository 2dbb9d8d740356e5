"""Compares emitted events with their effects: lost, duplicated, left over or out of order."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from govid.bus.events import AccountBlocked, IdentifierType, VerificationRequested
from tests.chaos import reader

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
LEFT = """
    SELECT (SELECT count(*) FROM bus.event) AS events,
           (SELECT count(*) FROM bus.receipt WHERE outcome = 'done') AS receipts,
           (SELECT count(*) FROM bus.delivery) AS pending,
           (SELECT count(*) FROM bus.parked) AS parked,
           (SELECT count(*) FROM bus.dead) AS dead
"""


class LedgerMismatch(RuntimeError):
    """The ledger does not balance, so the figure means nothing."""


class Ledger:
    """The events of one round: of each account, numbers from 1 on."""

    def __init__(self, accounts: int) -> None:
        """Speak of so many people, in turn."""
        self._accounts = [uuid4() for _ in range(accounts)]
        self._said: Counter[UUID] = Counter()
        self._turn = 0

    def request(self) -> VerificationRequested:
        """Return the next event, of a type that goes to Kafka."""
        account, number = self._next()
        return VerificationRequested(
            user_id=account,
            identifier_type=IdentifierType.NIN,
            identifier_value="AB123456C",
            timestamp=MOMENT,
            correlation_id=str(number),
        )

    def block(self) -> AccountBlocked:
        """Return the next event, of a type that stays inside."""
        account, number = self._next()
        return AccountBlocked(account_id=account, timestamp=MOMENT, reason=str(number))

    def compare(self, where: str, seen: Iterable[tuple[str, int]]) -> None:
        """Hold the accounts and numbers *seen*, in their order, against what was said.

        Raises:
            Unclean: they are not the same, or in another order.
        """
        found: dict[str, list[int]] = defaultdict(list)
        for account, number in seen:
            found[account].append(number)
        said = {str(account): list(range(1, n + 1)) for account, n in self._said.items()}
        if found != said:
            wrong = [account for account in said if found.get(account) != said[account]]
            raise LedgerMismatch(
                f"{where}: {len(wrong)} of {len(said)} accounts, such as {wrong[:3]}"
            )

    def compare_records(self, address: str, topic: str) -> None:
        """Read all of *topic* and compare.

        Raises:
            Unclean: not every record is there once and in order, or a key has two partitions.
        """
        records = reader.read(address, [topic])
        self.compare(topic, ((str(each.key), each.n) for each in records))
        if len({each.event_id for each in records}) != len(records):
            raise LedgerMismatch(f"{topic}: two events have one id")
        if len({(each.key, each.partition) for each in records}) != len(self._said):
            raise LedgerMismatch(f"{topic}: a key is in two partitions")

    @property
    def size(self) -> int:
        """How many events were said."""
        return self._said.total()

    def _next(self) -> tuple[UUID, int]:
        account = self._accounts[self._turn % len(self._accounts)]
        self._turn += 1
        self._said[account] += 1
        return account, self._said[account]


async def settled(url: str, events: int, *, receipts: int, pending: int = 0) -> None:
    """Count what the database says.

    Raises:
        Unclean: it is not that many *events* and *receipts*, or something is left over.
    """
    rows = await fetch(url, LEFT)
    expected = {"events": events, "receipts": receipts, "pending": pending, "parked": 0, "dead": 0}
    if (found := dict(rows[0])) != expected:
        raise LedgerMismatch(f"the database has {found}, and not {expected}")


async def fetch(url: str, statement: str, *arguments: object) -> Sequence[Any]:
    """Return the rows of *statement*."""
    connection = await asyncpg.connect(url)
    try:
        rows: Sequence[Any] = await connection.fetch(statement, *arguments)
        return rows
    finally:
        await connection.close()
