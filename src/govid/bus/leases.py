"""Which buckets of which subscriber this replica may work on (I4).

A lease is a row. Its epoch grows whenever the owner changes, and every completing transaction
checks owner and epoch under a row lock, so a replica that lost a lease changes nothing, however
late it wakes up. The time in a lease therefore only keeps replicas from disturbing one another:
taking a bucket over early is always safe.

That is used for a quick take-over. Each replica holds a session advisory lock while it lives; when
its process is killed, PostgreSQL lets go of the lock at once, and others need not wait for the
lease to lapse.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any
from uuid import UUID

from govid.bus.consumers import BUCKETS
from govid.bus.ids import uuid7
from govid.bus.settings import BusSettings
from govid.bus.sql import QUERIES
from govid.bus.storage.connection import ConnectionFactory, session_settings
from govid.bus.storage.database import KEEPALIVES
from govid.bus.storage.errors import error_members
from govid.bus.storage.generation import ConnectionGeneration
from govid.bus.storage.supervision import is_being_cancelled
from govid.bus.storage.unavailability import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3
SAFETY_MARGIN_SECONDS = 1.0
RELEASE_SECONDS = 1.0


class Leases:
    """The leases of one replica, for a fixed set of subscribers."""

    def __init__(
        self,
        settings: BusSettings,
        subscribers: Sequence[str],
        gained: Callable[[], None] = lambda: None,
        generation: ConnectionGeneration | None = None,
    ) -> None:
        """Claim buckets of *subscribers* once `run` is running; say *gained* after each gain.

        *generation* ends when a renewal finds that the server accepts no writes.
        """
        pause = settings.lease_seconds / RENEWALS_PER_LEASE
        self._generation = generation or ConnectionGeneration()
        self._factory = ConnectionFactory(
            settings.database_url,
            application="govid leases",
            settings={
                # Frozen or cut off in the middle of a round, we would hold up all others (I4).
                **session_settings("govid leases", idle_in_transaction_ms=int(pause * 1000)),
                **KEEPALIVES,
            },
            command_timeout=pause,
        )
        self.replica: UUID = uuid7()
        self.replicas = 1
        """How many replicas were alive at the last renewal, this one included."""
        self._settings = settings
        self._subscribers = tuple(subscribers)
        self._gained = gained
        self._owned: dict[str, dict[int, int]] = {name: {} for name in subscribers}
        self._orphans: dict[str, set[int]] = {name: set() for name in subscribers}
        self._lapses_at = 0.0
        self._lock_key = 0

    def owned(self, subscriber: str) -> dict[int, int]:
        """Return the epochs of *subscriber*'s buckets that are certainly still ours, by bucket."""
        return self._owned[subscriber] if monotonic() < self._lapses_at else {}

    @property
    def held(self) -> dict[str, int]:
        """How many buckets of each subscriber are certainly ours."""
        return {name: len(self.owned(name)) for name in self._subscribers}

    def remaining(self, subscriber: str) -> float:
        """Return for how many seconds the buckets of *subscriber* are certainly ours."""
        return max(0.0, self._lapses_at - monotonic()) if self._owned[subscriber] else 0.0

    def forget(self, subscriber: str, bucket: int) -> None:
        """Stop working on a bucket that has turned out to be another's, until the next round."""
        self._owned[subscriber].pop(bucket, None)

    def orphans(self, subscriber: str) -> set[int]:
        """Return, once, the buckets whose last owner died with work in hand.

        It may have died of that work, so the new owner has to go about it with care.
        """
        orphans, self._orphans[subscriber] = self._orphans[subscriber], set()
        return orphans

    @property
    def healthy(self) -> bool:
        """Tell whether the last renewal is recent enough to work on."""
        return monotonic() < self._lapses_at

    async def run(self) -> None:
        """Keep the leases until cancelled, then give them back."""
        pause = 0.1
        while True:
            try:
                await self._hold()
            except DATABASE_UNAVAILABLE as error:
                if is_being_cancelled():
                    # The rollback that a cancellation asked for met a connection that was gone.
                    raise asyncio.CancelledError from error
                # Silence would be wrong, a line for each attempt too: the database says enough.
                log.warning("leases.database_away", extra=error_members(error))
                self._generation.report(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)

    async def _hold(self) -> None:
        pause = self._settings.lease_seconds / RENEWALS_PER_LEASE
        connection: Any = await self._factory.open()
        # A key that nobody has: a session of ours that the server does not know to be gone may
        # hold the last one for as long as it likes.
        self._lock_key = secrets.randbits(63)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", self._lock_key)
            await connection.execute(QUERIES["add_leases"], list(self._subscribers), BUCKETS)
            while True:
                await self._round(connection)
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            await self._release(connection)
            raise
        finally:
            await asyncio.shield(_close(connection))

    async def _round(self, connection: Any) -> None:
        # Taken before the statement is sent: the database's clock starts later, never earlier.
        asked_at = monotonic()
        ttl = self._settings.lease_seconds
        async with connection.transaction():
            self.replicas = await connection.fetchval(
                QUERIES["heartbeat"], self.replica, self._lock_key, ttl
            )
            rows = await connection.fetch(QUERIES["renew"], self.replica, ttl)
            owned: dict[str, dict[int, int]] = {name: {} for name in self._subscribers}
            for row in rows:
                owned.setdefault(row["subscriber"], {})[row["bucket"]] = row["epoch"]
            share = -(-BUCKETS // max(1, self.replicas))
            for name in self._subscribers:
                await self._balance(connection, name, owned[name], share)
        gained = owned != self._owned
        self._owned = owned
        self._lapses_at = asked_at + ttl - SAFETY_MARGIN_SECONDS
        if gained:
            self._gained()

    async def _balance(
        self, connection: Any, subscriber: str, buckets: dict[int, int], share: int
    ) -> None:
        missing = share - len(buckets)
        if missing > 0:
            rows = await connection.fetch(
                QUERIES["claim"],
                subscriber,
                missing,
                self.replica,
                self._settings.lease_seconds,
            )
            buckets.update({row["bucket"]: row["epoch"] for row in rows})
            self._orphans[subscriber].update(row["bucket"] for row in rows if row["orphaned"])
            suspects = [row["inflight_pos"] for row in rows if row["inflight_pos"] is not None]
            if suspects:
                log.warning("leases.crash_blamed", extra={"subscriber": subscriber})
                await connection.execute(
                    QUERIES["blame"], subscriber, suspects, self._settings.max_crashes
                )
        elif missing < 0:
            surplus = sorted(buckets)[missing:]
            await connection.execute(QUERIES["release"], self.replica, [subscriber], surplus)
            for bucket in surplus:
                del buckets[bucket]

    async def _release(self, connection: Any) -> None:
        self._lapses_at = 0.0
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await connection.execute(
                    QUERIES["release"],
                    self.replica,
                    list(self._subscribers),
                    list(range(BUCKETS)),
                )
                await connection.execute("DELETE FROM bus.replica WHERE id = $1", self.replica)
        except DATABASE_UNAVAILABLE as error:
            # Not given back, then: the lock goes with the connection, and others take over.
            log.warning("leases.not_released", extra={"error_class": type(error).__name__})


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=1)
    except DATABASE_UNAVAILABLE:
        connection.terminate()
