"""Where it is counted how much of something somebody may still do, within a span of time."""

from collections.abc import Sequence

import msgspec

from govid.bus import Transaction

SLACK_SECONDS = 60
"""By how much a span may end later than one that begins now, before the clock must have jumped."""

# In order, so that two that count the same rows cannot wait for each other.
_COUNT = f"""
    INSERT INTO identity.quota AS q (kind, bucket, spent, ends_at)
    SELECT kind, bucket, 1, clock_timestamp() + make_interval(secs => seconds)
    FROM unnest($1::text[], $2::text[], $3::float8[]) AS asked (kind, bucket, seconds)
    ORDER BY kind, bucket
    ON CONFLICT (kind, bucket) DO UPDATE SET (spent, ends_at) = (
        SELECT CASE WHEN over THEN 1 ELSE q.spent + 1 END,
               CASE WHEN over THEN excluded.ends_at ELSE q.ends_at END
        FROM (SELECT q.ends_at <= clock_timestamp()
                  OR q.ends_at > excluded.ends_at + interval '{SLACK_SECONDS} s' AS over) AS span)
    RETURNING kind, bucket, spent,
              greatest(1, ceil(extract(epoch FROM ends_at - clock_timestamp())))::int
                  AS seconds_left
"""  # noqa: S608 - put together from constants
_GIVE_BACK = """
    UPDATE identity.quota SET spent = greatest(spent - 1, 0) WHERE kind = $1 AND bucket = $2
"""
_FORGET = """
    DELETE FROM identity.quota WHERE (kind, bucket) IN (
        SELECT kind, bucket FROM identity.quota WHERE ends_at < clock_timestamp()
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
    """The budgets."""

    async def count(self, tx: Transaction, quotas: Sequence[Quota]) -> int | None:
        """Count one for each of *quotas*.

        Returns None if they are all kept, else the seconds until what is overdrawn begins anew;
        the caller then rolls back, so that who is refused spends nothing.
        """
        if not quotas:
            return None
        rows = await tx.driver.fetch(
            _COUNT,
            [quota.kind for quota in quotas],
            [quota.bucket for quota in quotas],
            [quota.seconds for quota in quotas],
        )
        most = {(quota.kind, quota.bucket): quota.most for quota in quotas}
        over = [r["seconds_left"] for r in rows if r["spent"] > most[r["kind"], r["bucket"]]]
        return max(over, default=None)

    async def give_back(self, tx: Transaction, quotas: Sequence[Quota]) -> None:
        """Take back what was counted for each of *quotas*."""
        if quotas:
            spent = sorted((quota.kind, quota.bucket) for quota in quotas)
            await tx.driver.executemany(_GIVE_BACK, spent)

    async def forget(self, tx: Transaction, most: int) -> int:
        """Delete at most so many budgets whose span is over; return how many."""
        return len(await tx.driver.fetch(_FORGET, most))
