"""What tests of groups look at: which rows share a transaction."""

from collections import Counter
from collections.abc import Sequence

from tests.integration.bus.harness import CONTEXT, NAME, BusFixture, a_request, an_account


async def emit_to_different_accounts(replica: BusFixture, labels: Sequence[str]) -> None:
    """Commit an event for a new account each, all at once: they wait for the first read."""
    async with replica.uow.begin(CONTEXT) as tx:
        for label in labels:
            tx.emit(a_request(an_account(), label))


async def transaction_sizes(replica: BusFixture) -> list[int]:
    """Return how many rows of the ledger each transaction wrote, the largest first."""
    rows = await replica.database.reads.fetch("SELECT xmin::text AS writer FROM ledger")
    return sorted(Counter(row["writer"] for row in rows).values(), reverse=True)


async def receipt_sizes(replica: BusFixture) -> list[int]:
    """Return how many receipts each transaction wrote, the largest first."""
    rows = await replica.database.reads.fetch(
        "SELECT xmin::text AS writer FROM bus.receipt WHERE subscriber = $1", NAME
    )
    return sorted(Counter(row["writer"] for row in rows).values(), reverse=True)


async def nothing_pending(replica: BusFixture) -> bool:
    return await replica.count_pending() == 0


async def is_parked(replica: BusFixture) -> bool:
    return await replica.count("parked") == 1
