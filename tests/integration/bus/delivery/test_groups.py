"""Deliveries that are ready together share a transaction; what fails in it fails alone."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from govid.bus import BusSettings, Database, Delivery, OperationContext, Outage, Transaction
from govid.bus.events import AccountVerified
from tests.integration.bus.delivery.transactions import (
    emit_to_different_accounts,
    is_parked,
    nothing_pending,
    receipt_sizes,
    transaction_sizes,
)
from tests.integration.bus.harness import (
    NAME,
    BusFixture,
    LedgerHandler,
    a_request,
    an_account,
    create_ledger,
    wait_until,
)
from tests.statements import statements

POISON = "poison"


class Misbehaving(LedgerHandler):
    """Does something else after its write, for the events of one label."""

    def __init__(self, misbehave: Callable[[Transaction], Any], label: str = POISON) -> None:
        super().__init__()
        self._misbehave = misbehave
        self._label = label
        self.applied: list[str] = []

    async def apply(self, tx: Transaction, delivery: Delivery[Any], outcome: None) -> None:
        self.applied.append(delivery.event.correlation_id)
        await super().apply(tx, delivery, outcome)
        # A coroutine is awaited by every label; only one of them has something in it.
        await {self._label: self._misbehave}.get(delivery.event.correlation_id, _behave)(tx)


class Promoted(LedgerHandler):
    """Prepares an event on the former primary: the new one has another at its position."""

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self._database_url = database_url

    async def prepare(self, delivery: Delivery[Any]) -> None:
        connection = await asyncpg.connect(self._database_url)
        try:
            await connection.execute(REPLACE_LOST_EVENT)
        finally:
            await connection.close()
        await super().prepare(delivery)


REPLACE_LOST_EVENT = """
    UPDATE bus.delivery d SET event_id = k.event_id, key = k.key, bucket = k.bucket
    FROM kept k WHERE d.event_id <> k.event_id
"""


async def _behave(_tx: Transaction) -> None:
    """Do nothing else."""


@pytest.mark.parametrize(
    ("events", "sizes"),
    [(1, [1]), (2, [2]), (16, [16]), (17, [16, 1]), (40, [16, 16, 8])],
)
async def test_deliveries_that_wait_share_transactions_of_at_most_sixteen(
    replica: BusFixture, events: int, sizes: list[int]
) -> None:
    await emit_to_different_accounts(replica, ["x"] * events)
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert await transaction_sizes(replica) == sizes
    assert await receipt_sizes(replica) == sizes


async def test_events_of_one_key_never_share_a_transaction(replica: BusFixture) -> None:
    await replica.emit(an_account(), "a", "b", "c")
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert await transaction_sizes(replica) == [1, 1, 1]
    assert await replica.labels() == ["a", "b", "c"]


@pytest.mark.parametrize("accounts", [2, 20, 50])
async def test_each_keys_events_keep_their_order_in_groups(
    replica: BusFixture, accounts: int
) -> None:
    people = [an_account() for _ in range(accounts)]
    expected = [f"{n}" for n in range(200 // accounts)]
    for label in expected:
        async with replica.uow.begin(OperationContext(correlation_id="test")) as tx:
            for person in people:
                tx.emit(a_request(person, label))
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    rows = await replica.database.reads.fetch(
        "SELECT array_agg(label ORDER BY n) AS labels FROM ledger GROUP BY account"
    )
    assert [row["labels"] for row in rows] == [expected] * accounts


async def test_a_group_costs_one_fence_one_receipt_statement_and_one_commit(
    replica: BusFixture,
) -> None:
    await emit_to_different_accounts(replica, ["a", "b", "c"])
    async with statements(replica.database.bus.engine) as sent, replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert sent == ["BEGIN", "COMMIT", *["INSERT INTO"] * 3, "WITH members"]


@pytest.mark.parametrize("grouped", [True, False])
async def test_an_event_that_a_promoted_standby_lacks_is_not_handled_in_place_of_another(
    bus_settings: BusSettings, database: Database, *, grouped: bool
) -> None:
    await create_ledger(bus_settings.database_url)
    replica = BusFixture(
        bus_settings, database, Promoted(bus_settings.database_url), grouped=grouped
    )
    await replica.emit(an_account(), "kept")
    await replica.database.reads.execute(
        "CREATE TABLE kept AS SELECT event_id, key, bucket FROM bus.delivery"
    )
    await replica.database.reads.execute("DELETE FROM bus.delivery")
    await replica.emit(an_account(), "lost")
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert await replica.labels() == ["kept"]
    handled = await replica.database.reads.fetchval(
        "SELECT array_agg(event_id) = ARRAY(SELECT DISTINCT event_id FROM kept) FROM bus.receipt"
    )
    assert handled


async def test_a_handler_that_declines_gets_a_transaction_for_each_event(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    replica = BusFixture(bus_settings, database, LedgerHandler(), grouped=False)
    await emit_to_different_accounts(replica, ["x"] * 20)
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert await transaction_sizes(replica) == [1] * 20


async def _raise_in_python(_tx: Transaction) -> None:
    raise ZeroDivisionError


async def _violate_a_constraint(tx: Transaction) -> None:
    await tx.connection.exec_driver_sql("INSERT INTO ledger (label) VALUES ('without an account')")


async def _send_nonsense(tx: Transaction) -> None:
    await tx.driver.execute("SELECT nonsense")


async def _defer_a_failure_to_the_commit(tx: Transaction) -> None:
    await tx.connection.exec_driver_sql("INSERT INTO doubled VALUES (1), (1)")


@pytest.mark.parametrize(
    "misbehave",
    [
        _raise_in_python,
        _violate_a_constraint,
        _send_nonsense,
        _defer_a_failure_to_the_commit,
    ],
)
@pytest.mark.parametrize("position", [0, 7, 15])
async def test_a_poison_member_is_parked_alone_and_all_others_are_done_once(
    bus_settings: BusSettings,
    database: Database,
    misbehave: Callable[[Transaction], Any],
    position: int,
) -> None:
    await create_ledger(bus_settings.database_url)
    await database.reads.execute(
        "CREATE TABLE doubled (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
    )
    replica = BusFixture(bus_settings, database, Misbehaving(misbehave))
    labels = [f"{n:02}" for n in range(15)]
    await emit_to_different_accounts(replica, [*labels[:position], POISON, *labels[position:]])
    async with replica.run():

        async def is_all_that_is_left() -> bool:
            return await replica.count_pending() == 1 and await is_parked(replica)

        await wait_until(is_all_that_is_left)
    assert sorted(await replica.labels()) == labels
    row = await database.reads.fetchrow(
        "SELECT p.attempts, p.reason, e.payload ->> 'correlation_id' AS label"
        " FROM bus.parked p JOIN bus.event e ON e.id = p.event_id"
    )
    assert tuple(row) == (1, "error", POISON)
    assert replica.metric_value("delivery_groups_total", subscriber=NAME, outcome="split") == 1


async def test_an_outage_in_a_transaction_holds_only_its_own_key_and_spends_nothing(
    bus_settings: BusSettings, database: Database
) -> None:
    async def away(_tx: Transaction) -> None:
        raise Outage("nhs")

    await create_ledger(bus_settings.database_url)
    replica = BusFixture(bus_settings, database, Misbehaving(away))
    await emit_to_different_accounts(replica, ["a", POISON, "b"])
    async with replica.run():
        await wait_until(lambda: is_parked(replica))
    assert sorted(await replica.labels()) == ["a", "b"]
    row = await database.reads.fetchrow("SELECT attempts, reason FROM bus.parked")
    assert tuple(row) == (0, "outage")


async def test_the_members_of_a_failed_group_run_in_their_order(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    handler = Misbehaving(_raise_in_python)
    replica = BusFixture(bus_settings, database, handler)
    labels = ["a", "b", POISON, "c", "d"]
    await emit_to_different_accounts(replica, labels)
    async with replica.run():
        await wait_until(lambda: is_parked(replica))
    assert handler.applied[-len(labels) :] == labels
    assert await replica.labels() == ["a", "b", "c", "d"]
    assert handler.prepared == labels


async def test_a_key_that_failed_spoils_no_other_group(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    replica = BusFixture(bus_settings, database, Misbehaving(_raise_in_python))
    await emit_to_different_accounts(replica, ["a", POISON, "b"])
    async with replica.run():
        await wait_until(lambda: is_parked(replica))
        await emit_to_different_accounts(replica, ["c", "d", "e"])
        await database.reads.execute("UPDATE bus.parked SET until = '-infinity'")
        replica.wake.notify_all()

        async def has_failed_again() -> bool:
            return bool(await database.reads.fetchval("SELECT attempts FROM bus.parked") == 2)

        await wait_until(has_failed_again)
    assert sorted(await replica.labels()) == ["a", "b", "c", "d", "e"]
    assert replica.metric_value("delivery_groups_total", subscriber=NAME, outcome="split") == 1


ONCE = """
    CREATE SEQUENCE times;
    CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN
        IF NEW.label = 'poison' AND nextval('times') = 1 THEN
            RAISE EXCEPTION 'not now' USING ERRCODE = '{state}';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fail_once BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION fail_once();
"""


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03", "57014", "23505", "XX000"])
async def test_what_fails_in_a_group_only_spends_no_attempt_of_any_member(
    replica: BusFixture, state: str
) -> None:
    await replica.database.reads.execute(ONCE.format(state=state))
    await emit_to_different_accounts(replica, ["a", POISON, "b"])
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert sorted(await replica.labels()) == ["a", "b", POISON]
    assert await replica.count("parked") == 0
    assert replica.metric_value("deliveries_total", subscriber=NAME, outcome="transient") is None
    assert replica.metric_value("delivery_groups_total", subscriber=NAME, outcome="split") == 1


class Locking(LedgerHandler):
    """Locks the row that carries its label."""

    def __init__(self) -> None:
        super().__init__()
        self.locked = asyncio.Event()

    async def apply(self, tx: Transaction, delivery: Delivery[Any], outcome: None) -> None:
        label = delivery.event.correlation_id
        await tx.connection.exec_driver_sql("UPDATE spot SET n = n + 1 WHERE label = $1", (label,))
        self.locked.set()
        await super().apply(tx, delivery, outcome)


async def test_a_deadlock_of_a_group_ends_it_and_its_members_succeed_one_by_one(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    await database.reads.execute(
        "CREATE TABLE spot (label text PRIMARY KEY, n int NOT NULL DEFAULT 0);"
        "INSERT INTO spot VALUES ('a'), ('b')"
    )
    # The group locks in the order of the accounts.
    first, second = sorted([an_account(), an_account()], key=str)
    handler = Locking()
    replica = BusFixture(bus_settings, database, handler)
    async with replica.uow.begin(OperationContext(correlation_id="test")) as tx:
        tx.emit(a_request(first, "a"))
        tx.emit(a_request(second, "b"))
    other = await asyncpg.connect(bus_settings.database_url)
    # The group's session looks for deadlocks first, so it is the one that is ended.
    await other.execute("SET deadlock_timeout = '60s'")
    transaction = other.transaction()
    await transaction.start()
    await other.execute("UPDATE spot SET n = 10 WHERE label = 'b'")
    async with replica.run():
        await handler.locked.wait()
        await other.execute("UPDATE spot SET n = n + 10 WHERE label = 'a'")
        await transaction.commit()
        await wait_until(lambda: nothing_pending(replica))
    await other.close()
    assert await replica.labels() == ["a", "b"]
    assert await replica.count("parked") == 0
    rows = await database.reads.fetch("SELECT label, n FROM spot ORDER BY label")
    assert [tuple(row) for row in rows] == [("a", 11), ("b", 11)]
    assert replica.metric_value("delivery_groups_total", subscriber=NAME, outcome="split") == 1


async def test_a_bucket_that_was_lost_stops_its_own_member_of_a_group_only(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    frozen, thaw = asyncio.Semaphore(0), asyncio.Event()

    async def freeze(_delivery: Delivery[Any]) -> None:
        frozen.release()
        await thaw.wait()

    replica = BusFixture(bus_settings, database, LedgerHandler(freeze))
    async with replica.run():
        await emit_to_different_accounts(replica, ["a", "lost", "b"])
        async with asyncio.timeout(10):
            await asyncio.gather(*(frozen.acquire() for _ in range(3)))
        await database.reads.execute(
            "UPDATE bus.lease SET owner = NULL, epoch = epoch + 1 WHERE bucket ="
            " (SELECT d.bucket FROM bus.delivery d JOIN bus.event e ON e.id = d.event_id"
            "  WHERE d.subscriber = $1 AND e.payload ->> 'correlation_id' = 'lost')",
            NAME,
        )
        thaw.set()

        async def others_are_done() -> bool:
            return (
                sorted(await replica.labels()) == ["a", "b"]
                and replica.metric_value("leases_lost_total") == 1
            )

        await wait_until(others_are_done)
        assert await replica.count_pending() == 1
        assert await replica.count("receipt") == 2
    assert replica.metric_value("delivery_groups_total", subscriber=NAME, outcome="split") == 1


async def test_a_member_that_was_handled_before_changes_nothing(replica: BusFixture) -> None:
    await emit_to_different_accounts(replica, ["a", "b", "c"])
    await replica.database.reads.execute(
        "INSERT INTO bus.receipt (subscriber, event_id, outcome)"
        " SELECT $1, id, 'done' FROM bus.event WHERE payload ->> 'correlation_id' = 'b'",
        NAME,
    )
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert sorted(await replica.labels()) == ["a", "c"]
    assert await transaction_sizes(replica) == [2]
    assert replica.metric_value("deliveries_total", subscriber=NAME, outcome="repeated") == 1


class Emitting(LedgerHandler):
    """Emits an event about each account, and tells when its commit is known."""

    def __init__(self, taken_back: str = "", failing_hook: str = "") -> None:
        super().__init__()
        self.reported: list[str] = []
        self._taken_back = taken_back
        self._failing_hook = failing_hook

    async def apply(self, tx: Transaction, delivery: Delivery[Any], outcome: None) -> None:
        label = delivery.event.correlation_id
        await super().apply(tx, delivery, outcome)
        verified = AccountVerified(account_id=delivery.event.user_id, timestamp=tx.now)
        try:
            async with tx.savepoint():
                tx.emit(verified)
                tx.after_commit(lambda: self._tell(label))
                _ = 1 // (label != self._taken_back)
        except ZeroDivisionError:
            return

    def _tell(self, label: str) -> None:
        self.reported.append(label)
        _ = 1 // (label != self._failing_hook)


async def emit_for_reasons_of_their_own(replica: BusFixture, labels: str) -> dict[UUID, str]:
    """Commit an event for each of *labels*, whose correlation id it is; return the accounts."""
    accounts = {an_account(): label for label in labels}
    for account, label in accounts.items():
        async with replica.uow.begin(OperationContext(correlation_id=label)) as tx:
            tx.emit(a_request(account, label))
    return accounts


async def test_what_a_member_emits_names_its_own_cause_and_is_stored_in_one_statement(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    replica = BusFixture(bus_settings, database, Emitting())
    accounts = await emit_for_reasons_of_their_own(replica, "abcd")
    async with statements(database.bus.engine) as sent, replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert sent.count("WITH incoming") == 1
    rows = await database.reads.fetch(
        """SELECT e.record_key, e.headers ->> 'correlation_id' AS correlation,
                  e.headers -> 'actor' ->> 'id' AS actor,
                  e.headers ->> 'causation_id' = c.id::text AS is_caused
           FROM bus.event e JOIN bus.event c ON c.record_key = e.record_key AND c.id <> e.id
           WHERE e.type = 'identity.account.verified'"""
    )
    assert {tuple(row) for row in rows} == {
        (str(account), label, NAME, True) for account, label in accounts.items()
    }


async def test_hooks_run_once_for_each_member_after_the_commit(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    handler = Emitting()
    replica = BusFixture(bus_settings, database, handler)
    await emit_to_different_accounts(replica, list("abcd"))
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert sorted(handler.reported) == list("abcd")
    assert await transaction_sizes(replica) == [4]


async def test_a_savepoint_of_a_member_takes_back_its_own_events_and_hooks_only(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    handler = Emitting(taken_back="b")
    replica = BusFixture(bus_settings, database, handler)
    accounts = await emit_for_reasons_of_their_own(replica, "abc")
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    rows = await database.reads.fetch(
        "SELECT record_key FROM bus.event WHERE type = 'identity.account.verified'"
    )
    emitted = sorted(accounts[UUID(row["record_key"])] for row in rows)
    assert (emitted, sorted(handler.reported)) == (["a", "c"], ["a", "c"])
    assert await transaction_sizes(replica) == [3]


async def test_a_hook_that_fails_keeps_no_other_members_hook_from_running(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    handler = Emitting(failing_hook="b")
    replica = BusFixture(bus_settings, database, handler)
    await emit_to_different_accounts(replica, list("abc"))
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert sorted(handler.reported) == list("abc")
    assert sorted(await replica.labels()) == list("abc")
    assert await replica.count("parked") == 0


async def test_a_slow_preparation_holds_up_no_other_delivery(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    answered = asyncio.Event()

    async def ask(delivery: Delivery[Any]) -> None:
        await {"slow": answered.wait}.get(delivery.event.correlation_id, _at_once)()

    replica = BusFixture(bus_settings, database, LedgerHandler(ask))
    await emit_to_different_accounts(replica, ["slow", *["x"] * 20])
    async with replica.run():

        async def others_are_done() -> bool:
            return await replica.labels() == ["x"] * 20

        await wait_until(others_are_done)
        answered.set()
        await wait_until(lambda: nothing_pending(replica))
    assert await replica.labels() == [*["x"] * 20, "slow"]


async def _at_once() -> None:
    """Wait for nothing."""


async def test_only_as_many_handlers_prepare_at_once_as_the_settings_say(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    settings = msgspec.structs.replace(bus_settings, max_concurrent_keys=3)
    now, most = 0, 0

    async def ask(_delivery: Delivery[Any]) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    replica = BusFixture(settings, database, LedgerHandler(ask))
    await emit_to_different_accounts(replica, ["x"] * 30)
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert most == 3


async def test_a_backlog_of_many_batches_is_handled_whole(
    bus_settings: BusSettings, database: Database
) -> None:
    await create_ledger(bus_settings.database_url)
    settings = msgspec.structs.replace(bus_settings, batch_size=50)
    replica = BusFixture(settings, database, LedgerHandler())
    labels = [f"{n:03}" for n in range(600)]
    await emit_to_different_accounts(replica, labels)
    async with replica.run():
        await wait_until(lambda: nothing_pending(replica))
    assert sorted(await replica.labels()) == labels
