"""`kill -9` at each await of the commit of a death: all of it, or nothing."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from govid.bus import (
    Database,
    PseudonymGenerator,
    Subscriber,
    Subscriptions,
    SystemClock,
    UnitOfWork,
)
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.events import DeathNotified
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from tests.audit_entries import entry_factory
from tests.integration.identity.conftest import CONTEXT, IdentityFixture, a_death
from tests.integration.identity.crash_at_step import KEY, NEVER, SUBSCRIBER, StepCrasher

FEWEST_AWAITS = 10
"""BEGIN, the fence, the meeting, the holder, the history, the account, its sessions, its refresh
tokens, its links, the events, COMMIT: what a death is made of."""

A_LINK = """
    INSERT INTO identity.link (hash, account_id, purpose, address, issued_at, expires_at)
    VALUES (sha256('link'), $1, 'reset', 'ada@example.com', now(), now() + interval '1 hour')
"""
AGAIN = """
    INSERT INTO bus.delivery (subscriber, bucket, pos, event_id, key)
    SELECT $1, 0, pos, id, key FROM bus.event WHERE type = 'hmrc.death.notified'
"""
# A dead server's leases would put the notice under suspicion: it is tried alone, and parked after
# three deaths. That is proved elsewhere; here each server begins as the first.
AFRESH = "TRUNCATE bus.lease, bus.replica"
STATE = """
    SELECT a.status, a.status_before, a.life_event_at IS NOT NULL AS dated,
           isfinite(a.tokens_valid_after) AS tokens_dead,
           (SELECT count(*) FROM identity.session WHERE revoked_at IS NULL) AS sessions,
           (SELECT count(*) FROM identity.refresh_token) AS refresh_tokens,
           (SELECT count(*) FROM identity.link) AS links,
           (SELECT array_agg(outcome) FROM identity.life_event) AS history,
           (SELECT array_agg(type ORDER BY pos) FROM bus.event
            WHERE type LIKE 'identity.life%' OR type = 'identity.account.blocked') AS events,
           (SELECT count(*) FROM bus.delivery WHERE subscriber = 'identity.lifecycle') AS pending,
           (SELECT count(*) FROM bus.event
            WHERE 'nhs.appointments' = ANY (addressees)) AS notified,
           (SELECT count(*) FROM bus.receipt WHERE subscriber = 'identity.lifecycle') AS receipts
    FROM identity.account a
"""
NOTHING = {
    "status": "verified",
    "status_before": None,
    "dated": False,
    "tokens_dead": False,
    "sessions": 2,
    "refresh_tokens": 1,
    "links": 1,
    "history": None,
    "events": None,
    "pending": 1,
    "notified": 0,
    "receipts": 0,
}
ALL = {
    "status": "blocked",
    "status_before": "verified",
    "dated": True,
    "tokens_dead": True,
    "sessions": 0,
    "refresh_tokens": 0,
    "links": 0,
    "history": ["applied"],
    "events": [
        "identity.life_event.received",
        "identity.account.blocked",
        "identity.life_event.applied",
    ],
    "pending": 0,
    "notified": 1,
    "receipts": 1,
}


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """How a server ended, and what it left."""

    exit_code: int
    left: dict[str, Any]


async def notify(database: Database) -> None:
    """Store a notice of death as a pending delivery of identity."""
    subscriptions = Subscriptions()
    subscriptions.add(Subscriber(name=SUBSCRIBER, handles=(DeathNotified,), handler=None))  # type: ignore[arg-type] - the servers have it
    outbox = PostgresOutbox(
        EnvelopeFactory(EventRegistry(), PseudonymGenerator(KEY.encode())),
        entry_factory(),
        subscriptions,
    )
    uow = UnitOfWork(database.requests, outbox, SystemClock(), lambda _: None)
    async with uow.begin(CONTEXT) as tx:
        tx.emit(a_death())


async def account_with_sessions(identity: IdentityFixture) -> UUID:
    view = await identity.register()
    await identity.set_columns(view.id, status="verified")
    await identity.login()
    await identity.begin()
    await identity.database.reads.execute(A_LINK, view.id)
    return view.id


async def state(database: Database) -> dict[str, Any]:
    return dict(await database.reads.fetchrow(STATE))


async def crash_at_step(crasher: StepCrasher, database: Database, step: int) -> Death:
    await database.reads.execute(AFRESH)
    return Death(exit_code=await crasher.crash_at(step), left=await state(database))


async def crash_at_each_step(crasher: StepCrasher, database: Database) -> list[Death]:
    """Kill a server at step 1, the next at step 2, and so on until one survives."""
    deaths = [await crash_at_step(crasher, database, 1)]
    while deaths[-1].exit_code != 0:
        deaths.append(await crash_at_step(crasher, database, len(deaths) + 1))
    return deaths


@pytest.mark.timeout(300)  # some seventy servers, one after the other
async def test_r13_kill_9_at_each_await_leaves_all_or_nothing(
    identity: IdentityFixture, database: Database, database_url: str
) -> None:
    await account_with_sessions(identity)
    await notify(database)
    assert await state(database) == NOTHING
    async with StepCrasher(database_url) as crasher:
        *killed, survivor = await crash_at_each_step(crasher, database)
    assert len(killed) >= 2 * FEWEST_AWAITS
    assert {death.exit_code for death in killed} == {-9}
    whole = [death.left == ALL for death in killed]
    assert [death.left for death in killed if death.left != ALL] == [NOTHING] * whole.count(False)
    # Once it is there it stays: no later server undoes it or does it again.
    assert whole == sorted(whole)
    assert survivor.left == ALL


async def test_r13_redelivery_changes_nothing(
    identity: IdentityFixture, database: Database, database_url: str
) -> None:
    account_id = await account_with_sessions(identity)
    await notify(database)
    async with StepCrasher(database_url) as crasher:
        first = await crash_at_step(crasher, database, NEVER)
        row = await identity.account(account_id)
        await database.reads.execute(AGAIN, SUBSCRIBER)
        again = await crash_at_step(crasher, database, NEVER)
        await database.reads.execute("DELETE FROM bus.receipt WHERE subscriber = $1", SUBSCRIBER)
        await database.reads.execute(AGAIN, SUBSCRIBER)
        executed_again = await crash_at_step(crasher, database, NEVER)
    assert [first.left, again.left, executed_again.left] == [ALL] * 3
    assert [first.exit_code, again.exit_code, executed_again.exit_code] == [0, 0, 0]
    assert await identity.account(account_id) == row
