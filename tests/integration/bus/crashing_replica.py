"""A replica whose handler kills the process at one event; run as a process, again and again.

It dies in `prepare` or, with the argument `apply`, in the transaction that it may share with
other deliveries. It ends with status 0 when no delivery is left that it may process.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from govid.bus import BusSettings, Database, Delivery, Transaction
from govid.bus.events import VerificationRequested
from tests.integration.bus.harness import BusFixture, LedgerHandler, wait_until

FATAL_LABEL = "deadly"
STATUS = 23


async def die(delivery: Delivery[Any]) -> None:
    if delivery.event.correlation_id == FATAL_LABEL:
        os._exit(STATUS)


class CrashingHandler(LedgerHandler):
    """Dies in the middle of a transaction."""

    async def apply(
        self, tx: Transaction, delivery: Delivery[VerificationRequested], outcome: None
    ) -> None:
        await super().apply(tx, delivery, outcome)
        await die(delivery)


HANDLERS: Mapping[str, Callable[[], LedgerHandler]] = {
    "prepare": lambda: LedgerHandler(die),
    "apply": CrashingHandler,
}


async def main(database_url: str, step: str) -> None:
    settings = BusSettings(
        database_url=database_url,
        kafka_bootstrap_servers="127.0.0.1:1",
        pseudonym_key=b"k" * 32,
        poll_seconds=0.1,
    )
    async with Database(settings) as database:
        replica = BusFixture(settings, database, HANDLERS[step]())

        async def idle() -> bool:
            parked = "SELECT count(*) FROM bus.parked WHERE until = 'infinity'"
            return await database.reads.fetchval(parked) == 1 and len(await replica.labels()) == 12

        async with replica.run():
            await wait_until(idle)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
