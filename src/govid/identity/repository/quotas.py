"""Where it is counted how much of something somebody may still do, within a span of time."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from govid.bus import Transaction

BUSY_SECONDS = 5
"""When to come again where nothing is spent yet, and all of it is held."""
SLACK_SECONDS = 60
"""By how much a span may end later than one that begins now, before the clock must have jumped."""

# In order, so that two that count the same rows cannot wait for each other.
_COUNT = f"""
    INSERT INTO identity.quota AS q (kind, bucket, held, spent, ends_at)
    SELECT kind, bucket, 1 - $4::int, $4, clock_timestamp() + make_interval(secs => seconds)
    FROM unnest($1::text[], $2::text[], $3::float8[]) AS asked (kind, bucket, seconds)
    ORDER BY kind, bucket
    ON CONFLICT (kind, bucket) DO UPDATE SET (held, spent, ends_at) = (
        SELECT excluded.held + CASE WHEN over THEN 0 ELSE q.held END,
               excluded.spent + CASE WHEN over THEN 0 ELSE q.spent END,
               CASE WHEN over THEN excluded.ends_at ELSE q.ends_at END
        FROM (SELECT q.ends_at <= clock_timestamp()
                  OR q.ends_at > excluded.ends_at + interval '{SLACK_SECONDS} s' AS over) AS span)
    RETURNING kind, bucket, held, spent,
              greatest(1, ceil(extract(epoch FROM ends_at - clock_timestamp())))::int
                  AS seconds_left
"""  # noqa: S608 - put together from constants
_SETTLE = """
    UPDATE identity.quota SET held = greatest(held - 1, 0), spent = spent + $3
    WHERE kind = $1 AND bucket = $2
"""
_FORGET = """
    DELETE FROM identity.quota WHERE (kind, bucket) IN (
        SELECT kind, bucket FROM identity.quota
        WHERE ends_at < clock_timestamp() OR (held = 0 AND spent = 0)
        LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING 1
"""


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How often *kind* of thing may be done in so many seconds, by whom *bucket* stands for."""

    kind: str
    bucket: str
    most: int
    seconds: float


class Quotas:
    """The budgets.

    One is held before the work and settled after it; what nobody settles is held until the span
    is over, so that a process that dies gives nothing away.
    """

    async def hold(self, tx: Transaction, quotas: Sequence[Quota]) -> int | None:
        """Hold one of each of *quotas*, to be settled.

        Returns None if there was one of each, else the seconds until it is worth asking again; the
        caller then rolls back, so that who is refused holds nothing.
        """
        return await self._count(tx, quotas, spent=0)

    async def count(self, tx: Transaction, quotas: Sequence[Quota]) -> int | None:
        """Spend one of each of *quotas* at once. Returns what `hold` returns."""
        return await self._count(tx, quotas, spent=1)

    async def settle(
        self, tx: Transaction, *, spent: Sequence[Quota] = (), given_back: Sequence[Quota] = ()
    ) -> None:
        """Settle what is held: some is spent now, the rest is as if nobody had held it."""
        held = sorted(
            [
                *((quota.kind, quota.bucket, 1) for quota in spent),
                *((quota.kind, quota.bucket, 0) for quota in given_back),
            ]
        )
        if held:
            await tx.driver.executemany(_SETTLE, held)

    async def forget(self, tx: Transaction, most: int) -> int:
        """Delete at most so many budgets that are untouched, or over; return how many."""
        return len(await tx.driver.fetch(_FORGET, most))

    async def _count(self, tx: Transaction, quotas: Sequence[Quota], *, spent: int) -> int | None:
        if not quotas:
            return None
        rows = await tx.driver.fetch(
            _COUNT,
            [quota.kind for quota in quotas],
            [quota.bucket for quota in quotas],
            [quota.seconds for quota in quotas],
            spent,
        )
        most = {(quota.kind, quota.bucket): quota.most for quota in quotas}
        waits = [_wait(row, most[row["kind"], row["bucket"]]) for row in rows]
        return max((wait for wait in waits if wait is not None), default=None)


def _wait(row: Mapping[str, Any], most: int) -> int | None:
    """Return for how many seconds to wait, with what is held now counted."""
    if row["held"] + row["spent"] <= most:
        return None
    return int(row["seconds_left"]) if row["spent"] >= most else BUSY_SECONDS
