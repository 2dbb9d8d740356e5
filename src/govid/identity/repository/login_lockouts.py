"""Decides the lockout of a login, in one SQL statement for each step of an attempt.

`LoginThrottle` (`rate_limits/attempts.py`) calls these statements with the limits of
`ThrottleSettings`. There is one row for each flow and subject, under a pseudonym. The subject is
the account name, or the account id for re-authentication. For password resets, each client network
of an account name has its own row.

A lockout begins when failures reach the limit: in `_RECORD_FAILURE`, or in `_RESERVE` by attempts
that have had no result for `PENDING_SECONDS`. Each statement decides under the row lock, by the
database's clock. With a read followed by a write, counts of parallel guesses would be lost.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from govid.bus import Transaction

PENDING_SECONDS = 30
"""After this time, an attempt without a recorded result counts as a failure."""
RETENTION_HOURS = 24
"""How long a lockout makes the next one longer, and how long an unused row is kept."""

# The values of the row when a lockout begins, in terms of `now`, `begins` and `number`. The
# exponent is bounded, because an overflow would end the lockout.
_LOCKS = "CASE WHEN begins THEN number ELSE t.locks END"
_LOCKED_AT = "CASE WHEN begins THEN now ELSE t.locked_at END"
_UNTIL = "now + make_interval(secs => least($6, $5 * power(2, least(number - 1, 30))))"
_NUMBER = f"""
    CASE WHEN t.locked_at > now - interval '{RETENTION_HOURS} hours' THEN t.locks + 1 ELSE 1 END
"""

# A lockout counts only up to the maximum duration: it ends if the clock was set back, or if the
# setting was lowered.
_RESERVE = f"""
    INSERT INTO identity.throttle AS t (flow, bucket, pending, verdict, touched_at)
    VALUES ($1, $2, jsonb_build_object($3::text, extract(epoch FROM clock_timestamp())),
            'granted', clock_timestamp())
    ON CONFLICT (flow, bucket) DO UPDATE SET
        (failures, pending, locks, locked_at, locked_until, verdict, turn, touched_at) = (
            SELECT CASE WHEN begins THEN 0 ELSE counted END,
                   CASE WHEN granted THEN live || jsonb_build_object($3::text, epoch) ELSE live END,
                   {_LOCKS}, {_LOCKED_AT},
                   CASE WHEN begins THEN {_UNTIL} WHEN locked THEN t.locked_until END,
                   CASE WHEN begins OR locked THEN 'locked' WHEN granted THEN 'granted'
                        ELSE 'full' END,
                   CASE WHEN begins THEN 'began' WHEN ended THEN 'ended' END,
                   now
            FROM (SELECT clock_timestamp() AS now) AS clock
            CROSS JOIN LATERAL (SELECT extract(epoch FROM now) AS epoch) AS seconds
            CROSS JOIN LATERAL (
                SELECT coalesce(jsonb_object_agg(ticket, since)
                                FILTER (WHERE since::numeric > epoch - {PENDING_SECONDS}),
                                '{{}}') AS live,
                       count(ticket) FILTER (WHERE since::numeric > epoch - {PENDING_SECONDS})
                           AS under_way,
                       t.failures + count(ticket)
                           FILTER (WHERE since::numeric <= epoch - {PENDING_SECONDS}) AS counted
                FROM jsonb_each(t.pending) AS each (ticket, since)
            ) AS attempts
            CROSS JOIN LATERAL (
                SELECT coalesce(t.locked_until > now
                                AND t.locked_until <= now + make_interval(secs => $6), false)
                           AS locked
            ) AS lock
            CROSS JOIN LATERAL (
                SELECT NOT locked AND counted >= $4 AS begins,
                       NOT locked AND counted + under_way < $4 AS granted,
                       NOT locked AND t.locked_until IS NOT NULL AS ended,
                       {_NUMBER} AS number
            ) AS step
        )
    RETURNING verdict, turn AS lockout_change, locks AS lockout_number, account_id
"""  # noqa: S608 - put together from constants
_MERGE_OLDER = """
    WITH moved AS (
        DELETE FROM identity.throttle WHERE flow = $1 AND bucket = ANY ($3) RETURNING *
    )
    INSERT INTO identity.throttle (flow, bucket, failures, pending, locks, locked_at, locked_until,
                                   account_id, verdict, turn, touched_at)
    SELECT flow, $2, failures, pending, locks, locked_at, locked_until, account_id, verdict, turn,
           touched_at
    FROM moved ORDER BY touched_at DESC
    ON CONFLICT DO NOTHING
"""
_RECORD_FAILURE = f"""
    UPDATE identity.throttle AS t SET
        (failures, pending, locks, locked_at, locked_until, account_id, turn) = (
            SELECT CASE WHEN begins THEN 0 ELSE t.failures + 1 END,
                   t.pending - $3::text,
                   {_LOCKS}, {_LOCKED_AT},
                   CASE WHEN begins THEN {_UNTIL} ELSE t.locked_until END,
                   coalesce($7, t.account_id),
                   CASE WHEN begins THEN 'began' END
            FROM (SELECT clock_timestamp() AS now) AS clock
            CROSS JOIN LATERAL (SELECT t.failures + 1 >= $4 AS begins, {_NUMBER} AS number) AS step
        )
    WHERE flow = $1 AND bucket = $2 AND pending ? $3::text
    RETURNING CASE turn WHEN 'began' THEN locks END
"""  # noqa: S608 - put together from constants
_RECORD_SUCCESS = """
    UPDATE identity.throttle SET failures = 0, pending = pending - $3::text, turn = NULL
    WHERE flow = $1 AND bucket = $2
"""
_RELEASE = """
    UPDATE identity.throttle SET pending = pending - $3::text, turn = NULL
    WHERE flow = $1 AND bucket = $2
"""
# Pending attempts are kept, because a guess at the old password still counts.
_LIFT_LOCK = """
    UPDATE identity.throttle SET
        failures = 0, locked_until = NULL,
        turn = CASE WHEN locked_until IS NOT NULL THEN 'ended' END
    WHERE flow = $1 AND bucket = $2
    RETURNING turn, account_id
"""
_RELEASE_EXPIRED = """
    UPDATE identity.throttle SET locked_until = NULL, turn = 'ended'
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM identity.throttle WHERE locked_until <= statement_timestamp()
        ORDER BY locked_until LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING flow, bucket, account_id
"""
# Each of the two conditions has its own index. Rows are deleted by `ctid`, which cannot change
# while they are locked.
_DELETE_STALE = f"""
    WITH old AS (
        SELECT ctid FROM identity.throttle
        WHERE locked_until IS NULL
          AND touched_at < clock_timestamp() - interval '{RETENTION_HOURS} hours'
        ORDER BY touched_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ),
    untouched AS (
        SELECT ctid FROM identity.throttle
        WHERE locked_until IS NULL AND failures = 0 AND locks = 0 AND pending = '{{}}'
        LIMIT $1::bigint - (SELECT count(*) FROM old) FOR UPDATE SKIP LOCKED
    )
    DELETE FROM identity.throttle
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM old UNION SELECT ctid FROM untouched))
    RETURNING 1
"""  # noqa: S608 - put together from constants


class LockoutLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many failures start a lockout, its first duration and its maximum duration."""

    failures: int
    lock_seconds: float
    max_lock_seconds: float


class AttemptSlot(msgspec.Struct, frozen=True, kw_only=True):
    """The slot of one attempt: the key of its row, and its own ticket in that row."""

    flow: str
    bucket: str
    ticket: str


class AttemptReservation(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a reservation, and whether a lockout of the row began or ended by it.

    `lockout_number` is the number of lockouts that each began within a day of the previous one.
    """

    verdict: Literal["granted", "full", "locked"]
    lockout_change: Literal["began", "ended"] | None
    lockout_number: int
    account_id: UUID | None


class ReleasedLockout(msgspec.Struct, frozen=True, kw_only=True):
    """A row whose lockout has ended."""

    flow: str
    bucket: str
    account_id: UUID | None


class LoginAttemptRepository:
    """Reserves attempts, records their results, and begins and ends lockouts."""

    async def reserve(
        self, tx: Transaction, slot: AttemptSlot, limits: LockoutLimits
    ) -> AttemptReservation:
        """Reserve *slot*, if failures and pending attempts are below the limit.

        Attempts without a result after `PENDING_SECONDS` are counted as failures, which may begin a
        lockout.
        """
        row = await tx.driver.fetchrow(
            _RESERVE,
            slot.flow,
            slot.bucket,
            slot.ticket,
            limits.failures,
            limits.lock_seconds,
            limits.max_lock_seconds,
        )
        return AttemptReservation(**row)

    async def merge_older(
        self, tx: Transaction, flow: str, bucket: str, older: Sequence[str]
    ) -> None:
        """Replace the rows of *older* buckets by one of *bucket*, unless that row exists."""
        await tx.driver.execute(_MERGE_OLDER, flow, bucket, list(older))

    async def record_failure(
        self, tx: Transaction, slot: AttemptSlot, limits: LockoutLimits, account_id: UUID | None
    ) -> int | None:
        """Release *slot* as a failure, once; return the number of the lockout that it started.

        Lockouts that each began within a day of the previous one are numbered from 1.
        """
        number: int | None = await tx.driver.fetchval(
            _RECORD_FAILURE,
            slot.flow,
            slot.bucket,
            slot.ticket,
            limits.failures,
            limits.lock_seconds,
            limits.max_lock_seconds,
            account_id,
        )
        return number

    async def record_success(self, tx: Transaction, slot: AttemptSlot) -> None:
        """Release *slot* and reset the number of failures. A lockout stays in force."""
        await tx.driver.execute(_RECORD_SUCCESS, slot.flow, slot.bucket, slot.ticket)

    async def release(self, tx: Transaction, slot: AttemptSlot) -> None:
        """Release *slot* without counting the attempt."""
        await tx.driver.execute(_RELEASE, slot.flow, slot.bucket, slot.ticket)

    async def lift_lockout(self, tx: Transaction, flow: str, bucket: str) -> ReleasedLockout | None:
        """End the lockout of the row and reset its failures; return it if it was locked."""
        row = await tx.driver.fetchrow(_LIFT_LOCK, flow, bucket)
        if row is None or row["turn"] is None:
            return None
        return ReleasedLockout(flow=flow, bucket=bucket, account_id=row["account_id"])

    async def release_expired(self, tx: Transaction, limit: int) -> Sequence[ReleasedLockout]:
        """End at most *limit* expired lockouts."""
        return [ReleasedLockout(**row) for row in await tx.driver.fetch(_RELEASE_EXPIRED, limit)]

    async def delete_stale(self, tx: Transaction, limit: int) -> int:
        """Delete at most *limit* rows that are empty or a day old; return how many.

        Empty rows remain after requests that were refused as busy, for any name a client has sent.
        """
        return len(await tx.driver.fetch(_DELETE_STALE, limit))
