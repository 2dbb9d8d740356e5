"""Requirements 1 and 3, whatever transactions do and however they meet."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from govid.bus import Transaction
from tests.integration.bus.harness import CONTEXT, BusFixture, a_request, an_account

KEYS = 4
EMITS = st.lists(st.integers(0, KEYS - 1), min_size=1, max_size=6)
ENDS = st.sampled_from(["commits", "commits all but a savepoint", "fails", "is cancelled"])
TRANSACTIONS = st.lists(st.tuples(EMITS, ENDS), min_size=1, max_size=12)


class Failed(Exception):
    """A use case refused to go on."""


@given(transactions=TRANSACTIONS)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_r1_r3_what_committed_is_there_numbered_in_order_and_nothing_else(
    replica: BusFixture, transactions: list[tuple[list[int], str]]
) -> None:
    accounts = [an_account() for _ in range(KEYS)]
    await asyncio.gather(
        *(
            play(replica, [accounts[key] for key in keys], ends, label=str(n))
            for n, (keys, ends) in enumerate(transactions)
        ),
        return_exceptions=True,
    )
    rows = await replica.database.reads.fetch(
        "SELECT record_key, seq, payload ->> 'correlation_id' AS label FROM bus.event"
        " WHERE record_key = ANY($1::text[]) ORDER BY pos",
        [str(account) for account in accounts],
    )
    reported = Counter((row["record_key"], row["label"]) for row in rows)
    assert reported == Counter(
        (str(accounts[key]), str(n))
        for n, (keys, ends) in enumerate(transactions)
        for key in keys
        if ends.startswith("commits")
    )
    numbers = {key: [row["seq"] for row in rows if row["record_key"] == key] for key, _ in reported}
    assert numbers == {key: list(range(1, 1 + len(seen))) for key, seen in numbers.items()}


async def play(replica: BusFixture, accounts: list[UUID], ends: str, *, label: str) -> None:
    """Emit one event for each of *accounts* in one transaction, which *ends* somehow."""
    async with replica.uow.begin(CONTEXT) as tx:
        for account in accounts:
            tx.emit(a_request(account, label))
        await tx.driver.execute("SELECT 1")
        await ENDINGS[ends](tx, accounts)


async def commit(_tx: Transaction, _accounts: list[UUID]) -> None:
    """Go on."""


async def fail(_tx: Transaction, _accounts: list[UUID]) -> None:
    raise Failed


async def be_cancelled(_tx: Transaction, _accounts: list[UUID]) -> None:
    raise asyncio.CancelledError


async def change_its_mind(tx: Transaction, accounts: list[UUID]) -> None:
    """Emit once more for each account, and take that back."""
    with suppress(Failed):
        async with tx.savepoint():
            for account in accounts:
                tx.emit(a_request(account, "never"))
            raise Failed


ENDINGS: Mapping[str, Callable[[Transaction, list[UUID]], Awaitable[None]]] = {
    "commits": commit,
    "commits all but a savepoint": change_its_mind,
    "fails": fail,
    "is cancelled": be_cancelled,
}
