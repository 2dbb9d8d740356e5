"""Records that a person reads the data of another person, before the response is sent.

Requests that run at the same time share one transaction: while one group commits, the next reads
wait and then commit together. So a read costs one wait for a commit, and not one commit.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from govid.bus.events import DataRead
from govid.bus.shared.context import OperationContext
from govid.bus.shared.errors import ErrorKind, GovidError
from govid.bus.storage.errors import DatabaseFault, classify_database_error
from govid.bus.storage.transaction import UnitOfWork, rerun_on_conflict

MAX_GROUP_SIZE = 100
"""How many reads share a transaction at most."""


class ReadNotRecorded(GovidError):
    """This cannot be shown at the moment; please try again shortly."""

    code = "read-not-recorded"
    kind = ErrorKind.UNAVAILABLE


class _WaitingRead(msgspec.Struct, frozen=True):
    """A read whose entry is not committed yet. `recorded` is done once it is."""

    read: DataRead
    context: OperationContext
    recorded: asyncio.Future[None]


class DataReadRecorder:
    """Commits the entries of data reads in groups."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Commit by *uow*."""
        self._uow = uow
        self._waiting: list[_WaitingRead] = []
        self._leader: asyncio.Task[None] | None = None

    async def record(self, read: DataRead, context: OperationContext) -> None:
        """Return once the entry of *read* is committed. A person's own data needs no entry.

        Raises:
            ReadNotRecorded: it could not be written, so the data must not be shown.
        """
        if read.reader_id == read.account_id:
            return
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_WaitingRead(read, context, recorded))
        if self._leader is None or self._leader.done():
            # In a task of its own: a request that is cancelled must not end the others.
            self._leader = asyncio.create_task(self._commit_waiting(), name="data reads")
        await recorded

    async def _commit_waiting(self) -> None:
        """Commit group after group, until no read is waiting."""
        group: Sequence[_WaitingRead] = ()
        try:
            while self._waiting:
                group = [one for one in self._waiting if not one.recorded.cancelled()]
                group, self._waiting = group[:MAX_GROUP_SIZE], group[MAX_GROUP_SIZE:]
                await self._commit_or_refuse(group)
        finally:
            # Only if this task was cancelled. A read that is not known to be recorded is refused.
            _refuse((*group, *self._waiting), None)
            self._waiting = []

    async def _commit_or_refuse(self, group: Sequence[_WaitingRead]) -> None:
        try:
            await self._commit_group(group)
        except Exception as error:  # noqa: BLE001 - an edge: every waiting request gets it
            fault = classify_database_error(error)
            if fault in (None, DatabaseFault.CONFLICT) and len(group) > 1:
                # The cause may be one of the reads: it must not refuse the others.
                for one in group:
                    await self._commit_or_refuse((one,))
                return
            if fault is DatabaseFault.OUT_OF_RESOURCES:
                # The server did not respond in time: the next group would wait as long again.
                group, self._waiting = (*group, *self._waiting), []
            _refuse(group, error)

    @rerun_on_conflict
    async def _commit_group(self, group: Sequence[_WaitingRead]) -> None:
        if not group:
            return
        async with self._uow.begin_group([one.context for one in group]) as transactions:
            for one, tx in zip(group, transactions, strict=True):
                tx.emit(one.read)
        for one in group:
            if not one.recorded.done():
                one.recorded.set_result(None)


def _refuse(group: Sequence[_WaitingRead], cause: Exception | None) -> None:
    for one in group:
        if not one.recorded.done():
            refusal = ReadNotRecorded()
            refusal.__cause__ = cause
            one.recorded.set_exception(refusal)
