"""Requirements 2 to 6 and 9, at the dispatcher: nothing skipped, reordered, doubled or dropped."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from govid.bus import Database, Delivery, Outage
from govid.bus.delivery.subscriptions import BUCKETS
from tests.integration.bus.harness import (
    CONTEXT,
    NAME,
    BusFixture,
    LedgerHandler,
    a_request,
    an_account,
    create_ledger,
    wait_until,
)


async def labels_are(replica: BusFixture, expected: list[str]) -> bool:
    return await replica.labels() == expected


async def test_r5_an_event_is_handled_once_and_its_pending_delivery_is_gone(
    replica: BusFixture,
) -> None:
    async with replica.run():
        await replica.emit(an_account(), "a")
        await wait_until(lambda: labels_are(replica, ["a"]))
    assert await replica.count_pending() == 0
    assert await replica.count("receipt") == 1


async def test_r3_a_keys_events_are_handled_in_commit_order(replica: BusFixture) -> None:
    account = an_account()
    expected = [f"{n}" for n in range(50)]
    await replica.emit(account, *expected[:20])
    async with replica.run():
        for label in expected[20:]:
            await replica.emit(account, label)
        await wait_until(lambda: labels_are(replica, expected))


async def test_r3_numbers_have_no_gaps_and_follow_commits(replica: BusFixture) -> None:
    account = an_account()
    await replica.emit(account, "a", "b")
    with pytest.raises(ZeroDivisionError):
        async with replica.uow.begin(CONTEXT) as tx:
            tx.emit(a_request(account, "rolled back"))
            raise ZeroDivisionError
    await asyncio.gather(*(replica.emit(account, f"{n}") for n in range(10)))
    rows = await replica.database.reads.fetch("SELECT seq FROM bus.event ORDER BY pos")
    assert [row["seq"] for row in rows] == list(range(1, 13))


async def test_r3_transactions_that_share_keys_do_not_deadlock(replica: BusFixture) -> None:
    accounts = [an_account() for _ in range(5)]

    async def emit_all(order: list[Any]) -> None:
        async with replica.uow.begin(CONTEXT) as tx:
            for account in order:
                tx.emit(a_request(account, "x"))

    await asyncio.gather(*(emit_all(accounts[n % 5 :] + accounts[: n % 5]) for n in range(40)))
    assert await replica.count("event") == 200


async def test_r2_a_late_commit_is_not_skipped(replica: BusFixture) -> None:
    early, late = an_account(), an_account()
    held = await asyncpg.connect(replica.settings.database_url)
    transaction = held.transaction()
    await transaction.start()
    # The open transaction draws its position first, and commits last.
    event = a_request(late, "late")
    await replica.outbox.write(held, [(event, CONTEXT, event.timestamp)])
    async with replica.run():
        await replica.emit(early, "early")
        await wait_until(lambda: labels_are(replica, ["early"]))
        await transaction.commit()
        await held.close()
        replica.wake.notify_all()
        await wait_until(lambda: labels_are(replica, ["early", "late"]))


async def test_r2_a_long_transaction_elsewhere_holds_nothing_back(
    replica: BusFixture, postgres_server: str
) -> None:
    elsewhere = await asyncpg.connect(postgres_server)
    async with elsewhere.transaction():
        await elsewhere.execute("CREATE TEMPORARY TABLE busy ON COMMIT DROP AS SELECT 1 AS n")
        async with replica.run():
            await replica.emit(an_account(), "a")
            await wait_until(lambda: labels_are(replica, ["a"]))
    await elsewhere.close()


async def test_r4_a_replica_that_lost_its_lease_changes_nothing(
    bus_settings: Any, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    frozen, thaw = asyncio.Event(), asyncio.Event()

    async def freeze(_delivery: Delivery[Any]) -> None:
        frozen.set()
        await thaw.wait()

    replica = BusFixture(bus_settings, database, LedgerHandler(freeze))
    async with replica.run():
        await replica.emit(an_account(), "a")
        async with asyncio.timeout(10):
            await frozen.wait()
        await database.reads.execute("UPDATE bus.lease SET owner = NULL, epoch = epoch + 1")
        thaw.set()
        # The zombie's attempt has ended when it no longer counts the bucket as its own.
        await wait_until(lambda: less_is_owned(replica))
        assert await replica.labels() == []
        assert await replica.count("receipt") == 0
        assert await replica.count_pending() == 1


async def less_is_owned(replica: BusFixture) -> bool:
    return len(replica.leases.owned_epochs(NAME)) < BUCKETS


async def test_r5_a_receipt_makes_a_second_delivery_harmless(replica: BusFixture) -> None:
    async with replica.run():
        await replica.emit(an_account(), "a")
        await wait_until(lambda: labels_are(replica, ["a"]))
        await replica.database.reads.execute(
            "INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)"
            " SELECT $1, pos, 0, id, key FROM bus.event",
            NAME,
        )
        replica.wake.notify_all()
        await wait_until(lambda: nothing_pending(replica))
    assert await replica.labels() == ["a"]


async def nothing_pending(replica: BusFixture) -> bool:
    return await replica.count_pending() == 0


async def test_r5_a_failing_handler_leaves_no_trace_of_its_writes(
    bus_settings: Any, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)

    class Failing(LedgerHandler):
        async def apply(self, tx: Any, delivery: Any, outcome: None) -> None:
            await super().apply(tx, delivery, outcome)
            raise ZeroDivisionError

    replica = BusFixture(bus_settings, database, Failing())
    async with replica.run():
        await replica.emit(an_account(), "a")
        await wait_until(lambda: parked(replica))
    assert await replica.labels() == []
    assert await replica.count("receipt") == 0
    row = await database.reads.fetchrow("SELECT attempts, reason, error_class FROM bus.parked")
    assert tuple(row) == (1, "error", "builtins.ZeroDivisionError")


async def parked(replica: BusFixture) -> bool:
    return await replica.count("parked") == 1


async def test_r6_an_outage_spends_no_attempt_and_holds_only_its_own_key(
    bus_settings: Any, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    unlucky, lucky = an_account(), an_account()

    async def away(delivery: Delivery[Any]) -> None:
        if delivery.event.user_id == unlucky:
            raise Outage("nhs")

    replica = BusFixture(bus_settings, database, LedgerHandler(away))
    async with replica.run():
        await replica.emit(unlucky, "waits", "waits behind")
        await replica.emit(lucky, "passes")
        await wait_until(lambda: labels_are(replica, ["passes"]))
        await wait_until(lambda: parked(replica))
    row = await database.reads.fetchrow(
        "SELECT attempts, reason, until < clock_timestamp() + interval '2 s' AS soon"
        " FROM bus.parked"
    )
    assert tuple(row) == (0, "outage", True)
    assert await replica.count("dead") == 0


async def test_r6_after_an_outage_the_key_goes_on_in_order(
    bus_settings: Any, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    answers = iter([Outage("nhs")])

    async def away_once(_delivery: Delivery[Any]) -> None:
        for outage in answers:
            raise outage

    replica = BusFixture(bus_settings, database, LedgerHandler(away_once))
    async with replica.run():
        await replica.emit(an_account(), "a", "b")
        await wait_until(lambda: labels_are(replica, ["a", "b"]))
    assert await replica.count("parked") == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("type = 'identity.unheard.of'", "unknown_type"),
        ("version = 2", "unknown_type"),
        ("payload = '{\"nothing\": 1}'", "undecodable"),
    ],
)
async def test_r9_what_cannot_be_read_is_parked_with_its_reason(
    replica: BusFixture, change: str, reason: str
) -> None:
    await replica.emit(an_account(), "a")
    await rewrite_history(replica, change)
    async with replica.run():
        await wait_until(lambda: parked(replica))
    row = await replica.database.reads.fetchrow(
        "SELECT reason, until = 'infinity' AS for_good FROM bus.parked"
    )
    assert tuple(row) == (reason, True)
    assert await replica.count_pending() == 1
    assert await replica.count("receipt") == 0


async def rewrite_history(replica: BusFixture, change: str) -> None:
    async with replica.database.reads.acquire() as connection, connection.transaction():
        # Only a superuser can: the rows are immutable for everybody else.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(f"UPDATE bus.event SET {change}")  # noqa: S608


async def test_i5_events_cannot_be_changed(replica: BusFixture) -> None:
    await replica.emit(an_account(), "a")
    with pytest.raises(asyncpg.RestrictViolationError):
        await replica.database.reads.execute("UPDATE bus.event SET type = 'x'")
    with pytest.raises(asyncpg.RestrictViolationError):
        await replica.database.reads.execute("DELETE FROM bus.event")


async def test_r1_a_commit_that_is_cancelled_publishes_nothing(replica: BusFixture) -> None:
    # PostgreSQL ends its statement timer before deferred triggers run, so one of them says what
    # a timeout would say, at the last possible moment.
    await replica.database.reads.execute(
        """
        CREATE FUNCTION too_late() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'too late' USING ERRCODE = 'query_canceled'; END $$;
        CREATE CONSTRAINT TRIGGER too_late AFTER INSERT ON ledger
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION too_late();
        """
    )
    with pytest.raises(asyncpg.QueryCanceledError, match="too late"):
        async with replica.uow.begin(CONTEXT) as tx:
            await tx.connection.exec_driver_sql(
                "INSERT INTO ledger (account, label) VALUES ($1, 'x')", (an_account(),)
            )
            tx.emit(a_request(an_account(), "x"))
    assert await replica.count("event") == 0
    assert await replica.count("stream") == 0


async def test_r1_a_statement_that_times_out_publishes_nothing(replica: BusFixture) -> None:
    with pytest.raises(DBAPIError, match="statement timeout"):
        async with replica.uow.begin(CONTEXT) as tx:
            tx.emit(a_request(an_account(), "x"))
            await tx.connection.exec_driver_sql("SET LOCAL statement_timeout = '50ms'")
            await tx.connection.exec_driver_sql("SELECT pg_sleep(10)")
    assert await replica.count("event") == 0


async def test_r1_a_cancelled_request_publishes_nothing(replica: BusFixture) -> None:
    inside = asyncio.Event()

    async def request() -> None:
        async with replica.uow.begin(CONTEXT) as tx:
            tx.emit(a_request(an_account(), "x"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await replica.count("event") == 0
