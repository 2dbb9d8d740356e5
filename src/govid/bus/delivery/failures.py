"""Records failed deliveries: schedules a retry with backoff, parks the key, or dead-letters.

A record names the event and the reason, never an error's text, which may quote personal data (I9).

The backoff of an outage grows with its length, up to minutes. When the circuit breaker of the
department closes, the outage probe retries all keys that wait for it at once. A half-open circuit
breaker needs one call: for it the key with the shortest remaining pause is retried first.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Literal, Self
from uuid import UUID

import msgspec

from govid.bus.delivery.leases import Leases
from govid.bus.delivery.wakeup import WakeupHub
from govid.bus.metrics import BusMetrics
from govid.bus.settings import BusSettings
from govid.bus.storage.database import Database
from govid.bus.storage.errors import backoff, compute_fingerprint, error_details, outage_backoff
from govid.bus.storage.sql import load_statements
from govid.bus.storage.workers import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)


QUERIES = load_statements("govid.bus.delivery", "failures.sql")

FailureReason = Literal[
    "outage", "error", "undecodable", "unknown_type", "no_handler", "crash", "refused"
]
PERMANENT_REASONS: frozenset[FailureReason] = frozenset(
    {"undecodable", "unknown_type", "no_handler", "refused"}
)
"""Reasons that no retry would change; only an operator action or a new release can."""


class DeliveryFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a delivery failed."""

    reason: FailureReason
    error_class: str
    """The error's dotted name, and its SQLSTATE if the database raised it."""
    fingerprint: str
    details: Mapping[str, str] = {}
    """The other members of the log line."""

    @classmethod
    def from_error(cls, reason: FailureReason, error: BaseException) -> Self:
        """Describe *error* without its text."""
        details = error_details(error)
        name = details.pop("error_class")
        if "sqlstate" in details:
            name = f"{name} (SQLSTATE {details['sqlstate']})"
        return cls(
            reason=reason, error_class=name, fingerprint=compute_fingerprint(error), details=details
        )


class FailureRecorder:
    """Records failures of one subscriber: a retry, a parked key or a dead letter."""

    def __init__(
        self,
        subscriber: str,
        settings: BusSettings,
        database: Database,
        leases: Leases,
        metrics: BusMetrics,
    ) -> None:
        """Write under the leases of this replica (fencing)."""
        self._subscriber = subscriber
        self._settings = settings
        self._database = database
        self._leases = leases
        self._metrics = metrics

    async def park_or_dead_letter(
        self,
        failure: DeliveryFailure,
        *,
        bucket: int,
        epoch: int,
        key: str,
        event_id: UUID,
        pos: int,
        ordered: bool,
    ) -> None:
        """Park *key* at its failing event, or dead-letter an event that is not *ordered*.

        An outage spends no attempt. A key is parked permanently, or an unordered event
        dead-lettered, after `max_attempts` failures or for one of `PERMANENT_REASONS`.
        """
        attempts, elapsed = await self._read_history(key, event_id)
        limit = self._settings.backoff_limit_seconds
        spent = 0 if failure.reason == "outage" else 1
        wait: float | None  # None: permanently.
        if failure.reason == "outage":
            wait = outage_backoff(elapsed, limit)
        elif failure.reason in PERMANENT_REASONS or attempts + spent >= self._settings.max_attempts:
            wait = None
        else:
            wait = backoff(attempts + spent, limit)
        fence = (self._subscriber, bucket, self._leases.replica_id, epoch)
        description = (failure.reason, failure.fingerprint, failure.error_class)
        if wait is None and not ordered:
            await self._database.bus_reads.execute(
                QUERIES["dead_letter"], *fence, pos, *description, attempts + spent, event_id
            )
        else:
            await self._database.bus_reads.execute(
                QUERIES["park"], *fence, key, event_id, wait, spent, *description
            )
        self._metrics.count_failed_delivery(self._subscriber, failure.reason)
        log.warning(
            "delivery.failed",
            extra={
                "subscriber": self._subscriber,
                "event_id": str(event_id),
                "reason": failure.reason,
                "error_class": failure.error_class,
                "attempts": attempts + spent,
                "for_good": wait is None,
                **failure.details,
            },
        )

    async def _read_history(self, key: str, event_id: UUID) -> tuple[int, float]:
        row = await self._database.bus_reads.fetchrow(
            QUERIES["past_failures"], self._subscriber, key, event_id
        )
        return (0, 0.0) if row is None else (row["attempts"], row["elapsed_seconds"])


RETRY_SECONDS = 1.0


class OutageProbe:
    """Ends the pauses of keys whose department is available again, or may be (outage probe)."""

    def __init__(self, database: Database, wakeups: WakeupHub) -> None:
        """Update the keys in *database*, and notify the subscribers through *wakeups*."""
        self._database = database
        self._wakeups = wakeups
        self._available: set[str] = set()
        self._possibly_available: set[str] = set()
        self._changed = asyncio.Event()

    def on_recovered(self, subscribers: Collection[str], *, is_certain: bool = True) -> None:
        """Note that the department of *subscribers* is available, or may be. Returns at once.

        If it is not certain, one key of each subscriber is retried as a probe.
        """
        (self._available if is_certain else self._possibly_available).update(subscribers)
        self._changed.set()

    async def run(self) -> None:
        """End pauses until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            available, self._available = self._available, set()
            possible, self._possibly_available = self._possibly_available - available, set()
            try:
                ended = await self._end_pauses(available)
                ended += sum([await self._end_pauses((name,), limit=1) for name in possible])
            except DATABASE_UNAVAILABLE as error:
                log.warning("recovery.postponed", extra={"error_class": type(error).__name__})
                await asyncio.sleep(RETRY_SECONDS)
                self.on_recovered(available)
                self.on_recovered(possible, is_certain=False)
                continue
            self._wakeups.notify(available | possible)
            log.info("recovery.done", extra={"records": ended})

    async def _end_pauses(self, subscribers: Collection[str], limit: int | None = None) -> int:
        query = QUERIES["end_outage_pauses"]
        ended: int = await self._database.bus_reads.fetchval(query, list(subscribers), limit)
        return ended
