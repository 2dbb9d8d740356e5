"""Data of a person is shown to another one only after the read is in the audit log."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from govid.bus import (
    Database,
    DataReadRecorder,
    OperationContext,
    ReadNotRecorded,
    Transaction,
    UnitOfWork,
)
from govid.bus.events import DataRead
from govid.gateway.http.problems import problem_for_error
from tests.integration.bus.audit.sealed_log import a_read, context_of
from tests.integration.bus.harness import BusFixture, wait_until

ENTRIES = "SELECT count(*) FROM audit.entry WHERE event = 'data.read'"


class GatedUnitOfWork:
    """Begins the transactions of a real one; each waits at `gate` before it commits."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.gate = asyncio.Event()
        self.groups: list[int] = []
        self._uow = uow

    @asynccontextmanager
    async def begin_group(
        self, contexts: Sequence[OperationContext]
    ) -> AsyncIterator[Sequence[Transaction]]:
        self.groups.append(len(contexts))
        async with self._uow.begin_group(contexts) as transactions:
            yield transactions
            await self.gate.wait()


@pytest.fixture
def gated(replica: BusFixture) -> GatedUnitOfWork:
    return GatedUnitOfWork(replica.uow)


@pytest.fixture
def recorder(gated: GatedUnitOfWork) -> DataReadRecorder:
    return DataReadRecorder(gated)  # type: ignore[arg-type] - it has the one method that is used


def begin(recorder: DataReadRecorder, *reads: DataRead) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(recorder.record(one, context_of(one))) for one in reads]


async def count_entries(database: Database) -> int:
    return int(await database.reads.fetchval(ENTRIES))


async def test_r22_reads_that_run_together_share_a_commit(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    (first,) = begin(recorder, a_read())

    async def is_begun() -> bool:
        return len(gated.groups) == 1

    await wait_until(is_begun)
    others = begin(recorder, *(a_read() for _ in range(150)))
    await asyncio.sleep(0)
    gated.gate.set()
    await asyncio.gather(first, *others)
    transactions = "SELECT count(DISTINCT xmin::text) FROM audit.entry WHERE event = 'data.read'"
    assert (gated.groups, await count_entries(replica.database)) == ([1, 100, 50], 151)
    assert await replica.database.reads.fetchval(transactions) == 3


async def test_r22_no_answer_before_the_commit(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    (waiting,) = begin(recorder, a_read())
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert (done, await count_entries(replica.database)) == (set(), 0)
    gated.gate.set()
    await waiting
    assert await count_entries(replica.database) == 1


async def test_r22_an_entry_names_the_role_and_not_the_reader(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    gated.gate.set()
    read = a_read()
    await recorder.record(read, context_of(read))
    content = await replica.database.reads.fetchval("SELECT content FROM audit.entry")
    entry = msgspec.json.decode(content)
    assert (entry["actor"], entry["subject"]) == ({"kind": "account"}, str(read.account_id))
    assert entry["extensions"]["role"] == "caseworker"
    assert str(read.reader_id).encode() not in content


async def test_r22_the_own_data_needs_no_entry(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    account_id = uuid4()
    read = a_read(account_id, account_id)
    await recorder.record(read, context_of(read))
    assert (gated.groups, await count_entries(replica.database)) == ([], 0)


async def test_r22_a_cancelled_request_does_not_cancel_the_others(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    tasks = begin(recorder, a_read(), a_read())
    await asyncio.sleep(0)
    tasks[0].cancel()
    gated.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in results] == [asyncio.CancelledError, type(None)]
    assert await count_entries(replica.database) == 1


async def test_r22_one_read_that_cannot_be_stored_does_not_refuse_the_others(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    gated.gate.set()
    bad = msgspec.structs.replace(a_read(), role="half a character \ud800")
    results = await asyncio.gather(
        *begin(recorder, a_read(), bad, a_read()), return_exceptions=True
    )
    assert [type(one) for one in results] == [type(None), ReadNotRecorded, type(None)]
    assert await count_entries(replica.database) == 2


async def test_r22_what_cannot_be_recorded_is_answered_with_503(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    gated.gate.set()
    await replica.database.reads.execute("DROP TABLE audit.restricted")
    results = await asyncio.gather(*begin(recorder, a_read(), a_read()), return_exceptions=True)
    problems = [problem_for_error(one, None) for one in results]  # type: ignore[arg-type] - unused
    assert {(one.status, one.code, *one.headers) for one in problems} == {
        (503, "read-not-recorded", "Retry-After")
    }


async def test_r22_after_an_outage_reads_are_recorded_again(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    end_all = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND state = 'idle in transaction'
    """
    tasks = begin(recorder, a_read(), a_read())

    async def is_open() -> bool:
        return bool(await replica.database.reads.fetchval(end_all))

    await wait_until(is_open)
    gated.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in results] == [ReadNotRecorded, ReadNotRecorded]
    read = a_read()
    await recorder.record(read, context_of(read))
    assert await count_entries(replica.database) == 1


async def test_r22_a_leader_that_is_cancelled_refuses_all_that_wait(
    replica: BusFixture, recorder: DataReadRecorder, gated: GatedUnitOfWork
) -> None:
    tasks = begin(recorder, a_read(), a_read())

    async def is_begun() -> bool:
        return gated.groups == [2]

    await wait_until(is_begun)
    (leader,) = [one for one in asyncio.all_tasks() if one.get_name() == "data reads"]
    leader.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in results] == [ReadNotRecorded, ReadNotRecorded]
    assert await count_entries(replica.database) == 0


@pytest.mark.parametrize(("step", "entries"), [("before commit", 0), ("after commit", 1)])
async def test_r22_a_killed_process_has_shown_nothing_that_is_not_in_the_log(
    replica: BusFixture, step: str, entries: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.bus.audit.crashing_reader"),
        *(replica.settings.database_url, step),
        stdout=asyncio.subprocess.PIPE,
    )
    shown, _ = await process.communicate()
    assert (process.returncode, shown) == (-9, b"")
    assert await count_entries(replica.database) == entries


def test_r22_the_refusal_says_nothing_of_the_read() -> None:
    problem: Any = problem_for_error(ReadNotRecorded(), None)  # type: ignore[arg-type] - unused
    assert problem.detail == "This cannot be shown at the moment; please try again shortly"
