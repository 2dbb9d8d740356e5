-- The statements of the leases. Each comment names its race.

-- name: add_leases
-- Creates the bucket rows of new subscribers; does nothing for the others.
INSERT INTO bus.lease (subscriber, bucket)
SELECT s, b FROM unnest($1::text[]) AS s, generate_series(0, $2::int - 1) AS b
ON CONFLICT DO NOTHING

-- name: heartbeat
-- Records that this replica is alive, deletes the dead replicas, and counts the live ones.
-- A replica is alive while its session holds its advisory lock. `until` covers the case that the
-- server has not yet noticed that a replica's connection is gone.
WITH locks AS (
    SELECT (l.classid::bigint << 32) | l.objid::bigint AS key
    FROM pg_locks l
    JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
),
gone AS (
    DELETE FROM bus.replica r
    WHERE r.id <> $1
      AND (r.until < clock_timestamp() OR NOT EXISTS (SELECT FROM locks WHERE key = r.lock_key))
    RETURNING r.id
),
here AS (
    INSERT INTO bus.replica (id, lock_key, until)
    VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
    ON CONFLICT (id) DO UPDATE SET until = excluded.until, lock_key = excluded.lock_key
    RETURNING id
)
SELECT count(*) FROM (
    SELECT id FROM here
    UNION
    SELECT r.id FROM bus.replica r WHERE r.id NOT IN (SELECT id FROM gone)
) AS living

-- name: renew
-- Renews every lease that this replica owns, expired or not: if another replica had claimed the
-- bucket meanwhile, owner and epoch would have changed.
UPDATE bus.lease SET until = clock_timestamp() + make_interval(secs => $2)
WHERE owner = $1
RETURNING subscriber, bucket, epoch

-- name: claim
-- FOR UPDATE and not a plain UPDATE: it conflicts with the fence's FOR KEY SHARE, so a bucket
-- whose last owner is in the middle of a completing transaction is skipped until that ends.
-- `orphaned`: the last owner did not release the bucket, so a delivery may have crashed it.
WITH free AS (
    SELECT l.subscriber, l.bucket, l.owner IS NOT NULL AS orphaned, l.inflight_pos
    FROM bus.lease l
    WHERE l.subscriber = $1
      AND (l.owner IS NULL OR l.until < clock_timestamp()
           OR NOT EXISTS (SELECT FROM bus.replica r WHERE r.id = l.owner))
    ORDER BY l.bucket
    LIMIT $2
    FOR UPDATE OF l SKIP LOCKED
)
UPDATE bus.lease l
SET owner = $3, epoch = l.epoch + 1, until = clock_timestamp() + make_interval(secs => $4),
    inflight_pos = NULL
FROM free
WHERE l.subscriber = free.subscriber AND l.bucket = free.bucket
RETURNING l.bucket, l.epoch, free.orphaned, free.inflight_pos

-- name: set_crash_marker
-- Stores which event is now processed in isolation. If the process crashes, the next owner reads
-- the marker and attributes the crash to that event.
UPDATE bus.lease SET inflight_pos = $5
WHERE subscriber = $1 AND bucket = $2 AND owner = $3 AND epoch = $4

-- name: count_crashes
-- Counts a crash for the key of each event that was processed in isolation when its process died,
-- and parks the key permanently at the limit. An event that had completed by then has no pending
-- delivery and is not counted.
INSERT INTO bus.parked AS p
    (subscriber, key, event_id, until, attempts, crashes, reason, fingerprint, error_class)
SELECT d.subscriber, coalesce(d.key, '@' || d.event_id), d.event_id,
       CASE WHEN $3 <= 1 THEN 'infinity' ELSE '-infinity'::timestamptz END,
       0, 1, 'crash', 'crash', 'crash'
FROM bus.delivery d
WHERE d.subscriber = $1 AND d.pos = ANY($2::bigint[])
ON CONFLICT (subscriber, key) DO UPDATE
SET crashes = CASE WHEN p.event_id = excluded.event_id THEN p.crashes ELSE 0 END + 1,
    until = CASE WHEN p.event_id = excluded.event_id AND p.crashes + 1 >= $3
                 THEN 'infinity' ELSE p.until END,
    reason = 'crash', fingerprint = 'crash', error_class = 'crash',
    event_id = excluded.event_id, last_failed = clock_timestamp()

-- name: release
UPDATE bus.lease SET owner = NULL, until = '-infinity', inflight_pos = NULL
WHERE owner = $1 AND subscriber = ANY($2::text[]) AND bucket = ANY($3::smallint[])
