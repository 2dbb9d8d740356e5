"""Quotas and rate limits: how often an action is allowed in a period, and how much may be stored.

Each module stores the counters of its rate limits in its own schema, in `<schema>.quota`.

Other limits: failed logins (`identity/rate_limits/attempts.py`), calls to departments
(`RequestLimiter` in `bus/upstream/client.py`), client connections
(`gateway/http/connection_limits.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from govid.bus.shared.context import Actor, OperationContext
from govid.bus.shared.errors import ErrorKind, GovidError
from govid.bus.shared.ids import uuid7
from govid.bus.storage.transaction import Transaction, UnitOfWork
from govid.bus.storage.workers import PeriodicWorker

CLEANUP_SECONDS = 60.0
BATCH_ROWS = 500
BUSY_SECONDS = 5
"""The retry time for a client while the whole quota is reserved, but not yet consumed."""
SLACK_SECONDS = 60
"""How much later than a new period a stored one may end. If it ends later, the clock has jumped."""

# Ordered by key, so that two transactions that count the same rows cannot deadlock.
_COUNT = """
    INSERT INTO {table} AS q (kind, bucket, held, spent, ends_at)
    SELECT kind, bucket, 1 - $4::int, $4, clock_timestamp() + make_interval(secs => seconds)
    FROM unnest($1::text[], $2::text[], $3::float8[]) AS asked (kind, bucket, seconds)
    ORDER BY kind, bucket
    ON CONFLICT (kind, bucket) DO UPDATE SET (held, spent, ends_at) = (
        SELECT excluded.held + CASE WHEN over THEN 0 ELSE q.held END,
               excluded.spent + CASE WHEN over THEN 0 ELSE q.spent END,
               CASE WHEN over THEN excluded.ends_at ELSE q.ends_at END
        FROM (SELECT q.ends_at <= clock_timestamp()
                  OR q.ends_at > excluded.ends_at + make_interval(secs => {slack}) AS over) AS span)
    RETURNING kind, bucket, held, spent,
              greatest(1, ceil(extract(epoch FROM ends_at - clock_timestamp())))::int
                  AS seconds_left
"""
_CONFIRM = """
    UPDATE {table} SET held = greatest(held - 1, 0), spent = spent + $3
    WHERE kind = $1 AND bucket = $2
"""
# Each of the two conditions has an index. Rows are deleted by `ctid`, which cannot change while
# they are locked.
_DELETE = """
    WITH over AS (
        SELECT ctid FROM {table} WHERE ends_at < clock_timestamp()
        ORDER BY ends_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ),
    unused AS (
        SELECT ctid FROM {table} WHERE held = 0 AND spent = 0
        LIMIT $1::bigint - (SELECT count(*) FROM over) FOR UPDATE SKIP LOCKED
    )
    DELETE FROM {table}
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM over UNION SELECT ctid FROM unused))
    RETURNING 1
"""


class RateExceeded(GovidError):
    """You have done this too often; please try again later."""

    code = "rate-exceeded"
    kind = ErrorKind.BUSY


class QuotaReached(GovidError):
    """You have as many of these as an account may have."""

    code = "quota-reached"
    kind = ErrorKind.CONFLICT


class QuotaRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rate limit: *kind* is allowed *limit* times in *seconds* for the subject of *bucket*."""

    kind: str
    bucket: str
    limit: int
    seconds: float

    @classmethod
    def for_account(cls, kind: str, account_id: UUID, limit: int, seconds: float) -> "QuotaRule":
        """Return the rule whose subject is the account."""
        return cls(kind=kind, bucket=str(account_id), limit=limit, seconds=seconds)


class QuotaCounters:
    """The counters of rate limits, in one table.

    A use is reserved before the work and confirmed after it. A reservation that is never confirmed
    lasts until its period ends, so a process that crashes releases nothing.
    """

    def __init__(self, table: str) -> None:
        """Count in *table*, such as `identity.quota`: a constant of the code, never input."""
        self._count_sql = _COUNT.format(table=table, slack=SLACK_SECONDS)
        self._confirm_sql = _CONFIRM.format(table=table)
        self._delete_sql = _DELETE.format(table=table)

    async def reserve(self, tx: Transaction, quotas: Sequence[QuotaRule]) -> int | None:
        """Reserve one use of each of *quotas*, to be confirmed.

        Returns None on success, otherwise the seconds after which a retry makes sense. The caller
        then rolls back, so that a refused request reserves nothing.
        """
        return await self._count(tx, quotas, spent=0)

    async def consume(self, tx: Transaction, quotas: Sequence[QuotaRule]) -> int | None:
        """Consume one use of each of *quotas* at once. Returns what `reserve` returns."""
        return await self._count(tx, quotas, spent=1)

    async def consume_or_raise(self, tx: Transaction, quota: QuotaRule) -> None:
        """Consume one use of *quota*; a `limit` of 0 means unlimited and uncounted.

        Raises:
            RateExceeded: the rate limit is exceeded. *tx* has to be rolled back.
        """
        if not quota.limit:
            return
        seconds = await self.consume(tx, [quota])
        if seconds is not None:
            raise RateExceeded(retry_after_seconds=seconds)

    async def consume_separately(
        self, uow: UnitOfWork, context: OperationContext, quota: QuotaRule
    ) -> None:
        """Consume one use of *quota* in its own transaction, so that failed work counts too.

        Raises:
            RateExceeded: the rate limit is exceeded.
        """
        if not quota.limit:
            return
        async with uow.begin(context) as tx:
            await self.consume_or_raise(tx, quota)

    async def confirm(
        self,
        tx: Transaction,
        *,
        consumed: Sequence[QuotaRule] = (),
        released: Sequence[QuotaRule] = (),
    ) -> None:
        """Confirm reservations: *consumed* ones are counted, *released* ones are cancelled."""
        reservations = sorted(
            [
                *((quota.kind, quota.bucket, 1) for quota in consumed),
                *((quota.kind, quota.bucket, 0) for quota in released),
            ]
        )
        if reservations:
            await tx.driver.executemany(self._confirm_sql, reservations)

    async def delete_expired(self, tx: Transaction, limit: int) -> int:
        """Delete at most *limit* counters that are unused or expired; return how many."""
        return len(await tx.driver.fetch(self._delete_sql, limit))

    async def _count(
        self, tx: Transaction, quotas: Sequence[QuotaRule], *, spent: int
    ) -> int | None:
        if not quotas:
            return None
        rows = await tx.driver.fetch(
            self._count_sql,
            [quota.kind for quota in quotas],
            [quota.bucket for quota in quotas],
            [quota.seconds for quota in quotas],
            spent,
        )
        limits = {(quota.kind, quota.bucket): quota.limit for quota in quotas}
        waits = [_retry_seconds(row, limits[row["kind"], row["bucket"]]) for row in rows]
        return max((wait for wait in waits if wait is not None), default=None)


class QuotaCleanup:
    """Deletes the counters of a module's rate limits when their periods are over (cleanup)."""

    def __init__(self, uow: UnitOfWork, quotas: QuotaCounters, module: str) -> None:
        """Delete counters of *quotas*, with *module* as the actor."""
        self._uow = uow
        self._quotas = quotas
        self._module = module

    async def run(self) -> None:
        """Delete now and every minute, until cancelled."""
        await PeriodicWorker(
            self._delete_all,
            CLEANUP_SECONDS,
            failure_event="housekeeping.failed",
            failure_members={"operation": f"{self._module} quotas"},
        ).run()

    async def _delete_all(self) -> None:
        context = OperationContext(
            correlation_id=str(uuid7()), actor=Actor(kind="module", id=self._module)
        )
        deleted = BATCH_ROWS
        while deleted == BATCH_ROWS:
            async with self._uow.begin(context) as tx:
                deleted = await self._quotas.delete_expired(tx, BATCH_ROWS)


def _retry_seconds(row: Mapping[str, Any], limit: int) -> int | None:
    """Return for how many seconds to wait; reservations count. None if the limit is not reached."""
    if row["held"] + row["spent"] <= limit:
        return None
    return int(row["seconds_left"]) if row["spent"] >= limit else BUSY_SECONDS
