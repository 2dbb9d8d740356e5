"""C4: a transaction that met a conflict runs once more; other failures do not repeat it."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from govid.bus import rerun_on_conflict
from govid.bus.storage.errors import DatabaseFault, classify_database_error
from tests.integration.bus.harness import CONTEXT, BusFixture, a_request, an_account

FAIL = "DO $$ BEGIN RAISE EXCEPTION 'AB123456C' USING ERRCODE = '{}'; END $$"
ENDS_AT_COMMIT = """
    CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER end_session AFTER INSERT ON ledger
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION end_session();
"""


class UseCase:
    """Emits one event and writes one row, after the statements that are to fail."""

    def __init__(self, replica: BusFixture, *failures: str) -> None:
        self.runs = 0
        self._replica = replica
        self._failures = list(failures)

    @rerun_on_conflict
    async def run(self, account: UUID) -> int:
        self.runs += 1
        async with self._replica.uow.begin(CONTEXT) as tx:
            tx.emit(a_request(account, "x"))
            await tx.driver.execute(
                "INSERT INTO ledger (account, label) VALUES ($1, $2)", account, "x"
            )
            for statement in self._failures[:1]:
                self._failures.pop(0)
                await tx.connection.exec_driver_sql(statement)
        return self.runs


@pytest.mark.parametrize("state", ["40001", "40P01", "40000", "55P03"])
async def test_c4_conflict_is_run_once_more_with_one_effect(
    replica: BusFixture, state: str
) -> None:
    use_case = UseCase(replica, FAIL.format(state))
    assert await use_case.run(an_account()) == 2
    assert await replica.labels() == ["x"]
    assert await replica.count("event") == 1


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
async def test_c4_second_conflict_is_reported(replica: BusFixture, state: str) -> None:
    use_case = UseCase(replica, FAIL.format(state), FAIL.format(state))
    with pytest.raises(DBAPIError) as caught:
        await use_case.run(an_account())
    assert classify_database_error(caught.value) is DatabaseFault.CONFLICT
    assert use_case.runs == 2
    assert await replica.count("event") == 0


@pytest.mark.parametrize("state", ["25006", "40003", "53100", "53200", "57014", "58030", "23505"])
async def test_c4_what_is_no_conflict_is_not_run_again(replica: BusFixture, state: str) -> None:
    use_case = UseCase(replica, FAIL.format(state))
    with pytest.raises(DBAPIError):
        await use_case.run(an_account())
    assert use_case.runs == 1
    assert await replica.count("event") == 0


async def test_c4_connection_lost_at_commit_is_not_run_again(replica: BusFixture) -> None:
    async with replica.database.reads.acquire() as connection:
        await connection.execute(ENDS_AT_COMMIT)
    use_case = UseCase(replica)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as caught:
        await use_case.run(an_account())
    assert classify_database_error(caught.value) is DatabaseFault.CONNECTION_LOST
    assert use_case.runs == 1


async def test_c4_plan_that_a_migration_made_stale_is_made_anew(replica: BusFixture) -> None:
    reads = replica.database.reads
    seen: list[Any] = []

    @rerun_on_conflict
    async def read() -> None:
        async with replica.uow.begin(CONTEXT) as tx:
            seen.append(await tx.driver.fetch("SELECT * FROM ledger"))

    await read()
    await reads.execute("ALTER TABLE ledger ADD COLUMN more text")
    await read()
    assert len(seen) == 2
