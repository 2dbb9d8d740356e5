"""Leases: time-limited ownership of a subscriber's buckets by one replica, with fencing (I4).

A lease is a row. Its epoch (the fencing token) grows whenever the owner changes. Every completing
transaction checks owner and epoch under a row lock, so a replica that has lost a lease changes
nothing, however late it resumes. The expiry time only keeps replicas from working on the same
bucket. Claiming a bucket early is always safe, so fail-over can be quick.

Each replica holds a session advisory lock while it is alive. When
its process is killed, PostgreSQL releases the lock at once, and other replicas claim its buckets
without waiting for the leases to expire.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any
from uuid import UUID

from govid.bus.delivery.subscriptions import BUCKETS
from govid.bus.settings import BusSettings
from govid.bus.shared.ids import uuid7
from govid.bus.storage.connection import ConnectionFactory, session_settings
from govid.bus.storage.connection_failures import OutageLog
from govid.bus.storage.database import KEEPALIVES
from govid.bus.storage.errors import error_members
from govid.bus.storage.pools import ConnectionGeneration
from govid.bus.storage.sql import load_statements
from govid.bus.storage.workers import DATABASE_UNAVAILABLE, is_being_cancelled

log = logging.getLogger(__name__)

QUERIES = load_statements("govid.bus.delivery", "leases.sql")

RENEWALS_PER_LEASE = 3
SAFETY_MARGIN_SECONDS = 1.0
RELEASE_SECONDS = 1.0


class Leases:
    """The leases of one replica on buckets of its subscribers; the epoch is the fencing token."""

    def __init__(
        self,
        settings: BusSettings,
        subscribers: Sequence[str],
        on_acquired: Callable[[], None] = lambda: None,
        generation: ConnectionGeneration | None = None,
        outages: OutageLog | None = None,
    ) -> None:
        """Claim buckets of *subscribers* while `run` runs.

        *on_acquired* is called whenever the set of owned buckets has changed. *generation* ends
        when a renewal finds that the server accepts no writes. *outages* learns from each attempt
        to connect and from each renewal whether the database is available.
        """
        pause = settings.lease_seconds / RENEWALS_PER_LEASE
        self._generation = generation or ConnectionGeneration()
        self._outages = outages or OutageLog()
        self._factory = ConnectionFactory(
            settings.database_url,
            application="govid leases",
            settings={
                # A replica that is frozen or cut off during a renewal would block all others (I4).
                **session_settings("govid leases", idle_in_transaction_ms=int(pause * 1000)),
                **KEEPALIVES,
            },
            command_timeout=pause,
            on_result=self._outages.note_attempt,
        )
        self.replica_id: UUID = uuid7()
        self.replica_count = 1
        """The number of replicas that were alive at the last renewal, this one included."""
        self._settings = settings
        self._subscribers = tuple(subscribers)
        self._on_acquired = on_acquired
        self._owned: dict[str, dict[int, int]] = {name: {} for name in subscribers}
        self._orphaned_buckets: dict[str, set[int]] = {name: set() for name in subscribers}
        self._expires_at = 0.0
        self._lock_key = 0

    def owned_epochs(self, subscriber: str) -> dict[int, int]:
        """Return the epochs, by bucket, of *subscriber*'s leases that have certainly not expired.

        It is empty if the last renewal was too long ago.
        """
        return self._owned[subscriber] if monotonic() < self._expires_at else {}

    @property
    def bucket_counts(self) -> dict[str, int]:
        """The number of buckets of each subscriber whose leases certainly have not expired."""
        return {name: len(self.owned_epochs(name)) for name in self._subscribers}

    def remaining_seconds(self, subscriber: str) -> float:
        """Return for how many seconds the leases of *subscriber* certainly do not expire."""
        return max(0.0, self._expires_at - monotonic()) if self._owned[subscriber] else 0.0

    def drop(self, subscriber: str, bucket: int) -> None:
        """Drop a bucket whose lease another replica has claimed, until the next renewal."""
        self._owned[subscriber].pop(bucket, None)

    def orphaned_buckets(self, subscriber: str) -> set[int]:
        """Return, once, the buckets whose last owner did not release them.

        Their last owner may have been crashed by a delivery, so the new owner has to isolate the
        deliveries of these orphaned buckets.
        """
        orphans, self._orphaned_buckets[subscriber] = self._orphaned_buckets[subscriber], set()
        return orphans

    @property
    def is_healthy(self) -> bool:
        """Whether the last renewal is recent enough to process deliveries."""
        return monotonic() < self._expires_at

    async def run(self) -> None:
        """Renew the leases until cancelled, then release them."""
        pause = 0.1
        while True:
            try:
                await self._hold_session()
            except DATABASE_UNAVAILABLE as error:
                if is_being_cancelled():
                    # The rollback after a cancellation failed on a closed connection.
                    raise asyncio.CancelledError from error
                # The pause grows, so that a long outage does not fill the log.
                log.warning("leases.database_away", extra=error_members(error))
                self._generation.end_if_read_only(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)

    async def _hold_session(self) -> None:
        pause = self._settings.lease_seconds / RENEWALS_PER_LEASE
        generation = self._generation.number
        connection: Any = await self._factory.connect()
        # A new key each time: an earlier session of this replica may still hold the last one, if
        # the server has not noticed that the session is gone.
        self._lock_key = secrets.randbits(63)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", self._lock_key)
            await connection.execute(QUERIES["add_leases"], list(self._subscribers), BUCKETS)
            # A server that was replaced may accept renewals, too.
            while generation == self._generation.number:
                await self._renew_all(connection)
                self._outages.note_renewal()
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            await self._release(connection)
            raise
        finally:
            await asyncio.shield(_close(connection))

    async def _renew_all(self, connection: Any) -> None:
        # Read before the statement is sent: the lease then expires here no later than there.
        sent_at = monotonic()
        ttl = self._settings.lease_seconds
        async with connection.transaction():
            self.replica_count = await connection.fetchval(
                QUERIES["heartbeat"], self.replica_id, self._lock_key, ttl
            )
            rows = await connection.fetch(QUERIES["renew"], self.replica_id, ttl)
            owned: dict[str, dict[int, int]] = {name: {} for name in self._subscribers}
            for row in rows:
                owned.setdefault(row["subscriber"], {})[row["bucket"]] = row["epoch"]
            share = -(-BUCKETS // max(1, self.replica_count))
            for name in self._subscribers:
                await self._balance(connection, name, owned[name], share)
        changed = owned != self._owned
        self._owned = owned
        self._expires_at = sent_at + ttl - SAFETY_MARGIN_SECONDS
        if changed:
            self._on_acquired()

    async def _balance(
        self, connection: Any, subscriber: str, buckets: dict[int, int], share: int
    ) -> None:
        missing = share - len(buckets)
        if missing > 0:
            rows = await connection.fetch(
                QUERIES["claim"],
                subscriber,
                missing,
                self.replica_id,
                self._settings.lease_seconds,
            )
            buckets.update({row["bucket"]: row["epoch"] for row in rows})
            self._orphaned_buckets[subscriber].update(
                row["bucket"] for row in rows if row["orphaned"]
            )
            markers = (row["inflight_pos"] for row in rows)
            crashed_positions = [position for position in markers if position is not None]
            if crashed_positions:
                log.warning("leases.crash_blamed", extra={"subscriber": subscriber})
                await connection.execute(
                    QUERIES["count_crashes"],
                    subscriber,
                    crashed_positions,
                    self._settings.max_crashes,
                )
        elif missing < 0:
            surplus = sorted(buckets)[missing:]
            await connection.execute(QUERIES["release"], self.replica_id, [subscriber], surplus)
            for bucket in surplus:
                del buckets[bucket]

    async def _release(self, connection: Any) -> None:
        self._expires_at = 0.0
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await connection.execute(
                    QUERIES["release"],
                    self.replica_id,
                    list(self._subscribers),
                    list(range(BUCKETS)),
                )
                await connection.execute("DELETE FROM bus.replica WHERE id = $1", self.replica_id)
        except DATABASE_UNAVAILABLE as error:
            # The advisory lock ends with the connection, and other replicas claim the buckets.
            log.warning("leases.not_released", extra={"error_class": type(error).__name__})


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=1)
    except DATABASE_UNAVAILABLE:
        connection.terminate()
