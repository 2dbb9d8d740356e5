"""A process that records a read, and is killed just before or just after the commit.

It would print what it shows to the reader once the read is recorded.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from govid.bus import BusSettings, Database, DataReadRecorder, OperationContext, Transaction
from tests.integration.bus.audit.sealed_log import a_read, context_of
from tests.integration.bus.harness import BusFixture, LedgerHandler


class DeadlyUnitOfWork:
    """Kills this process at one step of a transaction."""

    def __init__(self, replica: BusFixture, step: str) -> None:
        self._replica = replica
        self._step = step

    @asynccontextmanager
    async def begin_group(
        self, contexts: Sequence[OperationContext]
    ) -> AsyncIterator[Sequence[Transaction]]:
        async with self._replica.uow.begin_group(contexts) as transactions:
            yield transactions
            self._die_at("before commit")
        self._die_at("after commit")

    def _die_at(self, step: str) -> None:
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(database_url: str, step: str) -> None:
    settings = BusSettings(
        database_url=database_url, kafka_bootstrap_servers="127.0.0.1:1", pseudonym_key=b"k" * 32
    )
    async with Database(settings) as database:
        uow = DeadlyUnitOfWork(BusFixture(settings, database, LedgerHandler()), step)
        read = a_read()
        recorder = DataReadRecorder(uow)  # type: ignore[arg-type] - it has the method that is used
        await recorder.record(read, context_of(read))
        print("shown")  # noqa: T201 - the test reads it


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
