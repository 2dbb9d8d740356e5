"""What the replicas do about events: one row for each effect, in the effect's own transaction.

A few of the events are moody: the handler that meets one raises, finds a department away, or ends
its process, as often as the event's row in the database says, and then handles it.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from govid.bus import Database, Delivery, Module, Outage, Subscriber, Transaction
from govid.bus.events import (
    AppointmentRequested,
    DeathNotified,
    IdentifierType,
    NhsVerificationCompleted,
    VerificationRequested,
)
from tests.chaos.plan import Kind

REQUESTS = "chaos.requests"
RESULTS = "chaos.results"
APPOINTMENTS = "chaos.appointments"
DEATHS = "chaos.deaths"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
DIED = 23
"""The exit status of a process that a handler has ended."""

SCHEMA = """
    CREATE SCHEMA chaos;
    CREATE TABLE chaos.account (id uuid, stream text, n int NOT NULL, PRIMARY KEY (id, stream));
    CREATE TABLE chaos.command (id int, stream text NOT NULL, account uuid, n int);
    CREATE TABLE chaos.effect (
        place bigserial PRIMARY KEY, subscriber text NOT NULL, event_id uuid NOT NULL,
        subject text NOT NULL, n int NOT NULL);
    CREATE TABLE chaos.mood (
        account uuid, n int, kind text NOT NULL, times int NOT NULL, PRIMARY KEY (account, n));
    CREATE TABLE chaos.elsewhere (id int);
"""
EFFECT = "INSERT INTO chaos.effect (subscriber, event_id, subject, n) VALUES ($1, $2, $3, $4)"
COUNT_FAILURE = (
    "UPDATE chaos.mood SET times = times - 1 WHERE account = $1 AND n = $2 AND times > 0"
)

PlannedFailures = Mapping[tuple[UUID, int], Kind]


class TransientFailure(Exception):
    """The handler fails at this event once more, as planned."""


class Requests:
    """Notes a request, and answers it by an event of the same key."""

    def __init__(self, database: Database, moods: PlannedFailures) -> None:
        """Fail as *moods* plans; the failures that remain are counted in *database*."""
        self._database = database
        self._moods = moods

    async def prepare(self, delivery: Delivery[VerificationRequested]) -> bool:
        """Return whether the process has to end."""
        event = delivery.event
        mood = self._moods.get((event.user_id, int(event.correlation_id)))
        if mood is None:
            return False
        # Counted outside of the handler's transaction, which will not commit.
        done = await self._database.bus_reads.execute(
            COUNT_FAILURE, event.user_id, int(event.correlation_id)
        )
        if done != "UPDATE 1":
            return False
        if mood is Kind.HANDLER_RAISES:
            raise TransientFailure
        if mood is Kind.HANDLER_MEETS_OUTAGE:
            raise Outage("chaos")
        return True

    async def apply(
        self, tx: Transaction, delivery: Delivery[VerificationRequested], dies: bool
    ) -> None:
        """Write, and emit what follows."""
        event = delivery.event
        n = int(event.correlation_id)
        await tx.driver.execute(EFFECT, REQUESTS, delivery.id, str(event.user_id), n)
        tx.emit(
            NhsVerificationCompleted(
                user_id=event.user_id,
                identifier_type=IdentifierType.NHS,
                is_verified=True,
                timestamp=MOMENT,
                error=str(n),
            )
        )
        if dies:
            os._exit(DIED)


class Notes:
    """Notes an event of any other kind."""

    def __init__(self, subscriber: str, subject: str, number: str) -> None:
        """Find the subject and its number in the members so called."""
        self._subscriber = subscriber
        self._subject = subject
        self._number = number

    async def prepare(self, delivery: Delivery[Any]) -> None:
        """Do nothing: this handler needs no answer."""

    async def apply(self, tx: Transaction, delivery: Delivery[Any], outcome: None) -> None:
        """Write."""
        subject = str(getattr(delivery.event, self._subject))
        number = int(getattr(delivery.event, self._number))
        await tx.driver.execute(EFFECT, self._subscriber, delivery.id, subject, number)


def module(database: Database, moods: PlannedFailures) -> Module:
    """Return the consumers, for a replica; or for the writers, who only have to know them."""
    consumers: Sequence[Subscriber] = (
        Subscriber(
            name=REQUESTS, handles=(VerificationRequested,), handler=Requests(database, moods)
        ),
        Subscriber(
            name=RESULTS,
            handles=(NhsVerificationCompleted,),
            handler=Notes(RESULTS, "user_id", "error"),
        ),
        Subscriber(
            name=APPOINTMENTS,
            handles=(AppointmentRequested,),
            handler=Notes(APPOINTMENTS, "user_id", "correlation_id"),
        ),
        Subscriber(
            name=DEATHS,
            handles=(DeathNotified,),
            handler=Notes(DEATHS, "identifier_value", "reason"),
        ),
    )
    return Module(name="chaos", subscribers=consumers)
