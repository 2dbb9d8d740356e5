-- The statements whose locking carries the guarantees of the bus. Each comment names its race.

-- name: emit
-- Stores events with gap-free sequence numbers per key, and one delivery for each subscriber.
-- `numbered` takes each key's row lock and holds it until COMMIT: numbers follow commit order.
-- Its rows are sorted by key, so two transactions that share several keys cannot deadlock.
-- Positions are drawn above the join with `numbered`, that is, with all locks held: within a key
-- they follow commit order too, so readers can order by position.
-- The addressees of each event and the first and last event of each key are stored for the audit.
WITH incoming AS (
    SELECT *
    FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::timestamptz[])
        WITH ORDINALITY
        AS i(id, type, version, topic, key, record_key, payload, headers, occurred_at, ordinal)
),
pending AS (
    SELECT * FROM unnest($10::uuid[], $11::text[], $12::smallint[])
        AS d(event_id, subscriber, bucket)
),
addressed AS (
    SELECT event_id, array_agg(subscriber ORDER BY subscriber) AS addressees
    FROM pending GROUP BY event_id
),
numbered AS (
    INSERT INTO bus.stream (key, seq, first_id, last_id)
    SELECT key, count(*), (array_agg(id ORDER BY ordinal))[1],
           (array_agg(id ORDER BY ordinal DESC))[1]
    FROM incoming WHERE key IS NOT NULL GROUP BY key ORDER BY key
    ON CONFLICT (key) DO UPDATE SET seq = stream.seq + excluded.seq, last_id = excluded.last_id
    RETURNING key, seq
),
stored AS (
    INSERT INTO bus.event
        (id, type, version, topic, key, seq, record_key, payload, headers, occurred_at, addressees)
    SELECT id, type, version, topic, key, seq, record_key, payload::json, headers::jsonb,
           occurred_at, coalesce(addressees, '{}')
    FROM (
        SELECT i.*, a.addressees,
               n.seq - (count(*) OVER (PARTITION BY i.key ORDER BY i.ordinal DESC) - 1) AS seq
        FROM incoming i
        LEFT JOIN numbered n ON n.key = i.key
        LEFT JOIN addressed a ON a.event_id = i.id
        ORDER BY i.ordinal
    ) AS ordered
    RETURNING id, pos, key
)
INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)
SELECT d.subscriber, s.pos, d.bucket, s.id, s.key
FROM pending d JOIN stored s ON s.id = d.event_id

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

-- name: backlog
-- The pending deliveries of a subscriber in its owned buckets, oldest first, without those of keys
-- that are being processed or parked. The key of an event without one is '@' and its id.
-- Most reads begin above the scan watermark (backlog.py). The events are fetched by their ids
-- afterwards: in one statement the planner would read every partition, for each fetch.
-- NOT IN, because it hashes its list, whatever the plan. One timestamp for all rows: with the
-- clock's, a pause that ends during the read would let a key's later events pass its first.
-- `acts` counts the operator actions that are visible to this statement.
SELECT d.pos, d.bucket, d.event_id, coalesce(d.key, '@' || d.event_id) AS key,
       (SELECT coalesce(max(seq), 0) FROM bus.stream WHERE key = 'operator/outbox') AS acts
FROM bus.delivery d
WHERE d.subscriber = $1
  AND d.pos > $5
  AND d.bucket = ANY($2::smallint[])
  AND coalesce(d.key, '@' || d.event_id) NOT IN (SELECT unnest($3::text[]))
  AND NOT EXISTS (
      SELECT FROM bus.parked p
      WHERE p.subscriber = d.subscriber AND p.key = coalesce(d.key, '@' || d.event_id)
        AND p.until > statement_timestamp())
ORDER BY d.pos
LIMIT $4

-- name: events
-- $2 and $3 are the lowest and the highest of the ids. By them PostgreSQL prunes the partitions of
-- other days, which it cannot do by a list in a cached plan.
SELECT id, type, version, seq, payload::text AS payload, headers::text AS headers, occurred_at
FROM bus.event WHERE id = ANY($1::uuid[]) AND id >= $2 AND id <= $3

-- name: horizon
-- The last position that was drawn, the oldest transaction that writes, and the number of operator
-- actions. An operator action may add or free deliveries of any age.
SELECT last_value AS highest, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
       (SELECT coalesce(max(seq), 0) FROM bus.stream WHERE key = 'operator/outbox') AS acts
FROM bus.event_position

-- name: current_transaction
-- A keyed event draws its position with its stream's row lock held, so its transaction has an id
-- by then. If the position was drawn before this statement, that id is lower than this one.
SELECT pg_current_xact_id()::text::bigint

-- name: skipped_keys
-- The keys with pending deliveries between two positions, parked or not.
SELECT DISTINCT key FROM bus.delivery
WHERE subscriber = $1 AND bucket = ANY($2::smallint[]) AND pos > $3 AND pos <= $4
  AND key IS NOT NULL
LIMIT $5

-- name: complete_delivery
-- The first statement of a handler's transaction. It checks the lease (fencing), writes the receipt
-- and completes the delivery, all or nothing. `fenced` 0: another replica owns the lease, so roll
-- back. `fresh` 0: the event was handled before, so commit without calling the handler.
-- FOR KEY SHARE lets the owner renew meanwhile, and blocks a claim until the commit (I4).
WITH fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND bucket = $2 AND owner = $3 AND epoch = $4
    FOR KEY SHARE
),
receipt AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome)
    SELECT $1, $5, 'done' FROM fence
    ON CONFLICT DO NOTHING
    RETURNING event_id
),
completed AS (
    DELETE FROM bus.delivery d USING fence WHERE d.subscriber = $1 AND d.pos = $6
),
unparked AS (
    DELETE FROM bus.parked p USING fence WHERE p.subscriber = $1 AND p.key = $7
)
SELECT (SELECT count(*) FROM fence) AS fenced, (SELECT count(*) FROM receipt) AS fresh

-- name: complete_group
-- The same for deliveries of several keys, all or nothing. `fenced` is false if another replica
-- owns one of the buckets; `fresh` lists the events that had not been handled before.
-- The fence reads row locks, not the snapshot: a claim that has committed is always seen.
WITH members AS (
    SELECT *
    FROM unnest($3::smallint[], $4::bigint[], $5::uuid[], $6::bigint[], $7::text[])
        AS m(bucket, epoch, event_id, pos, key)
),
fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND owner = $2 AND (bucket, epoch) IN (SELECT bucket, epoch FROM members)
    FOR KEY SHARE
),
held AS (
    SELECT count(*) = (SELECT count(DISTINCT bucket) FROM members) AS all_of_them FROM fence
),
owned AS (
    SELECT m.* FROM members m, held WHERE held.all_of_them
),
receipt AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome)
    SELECT $1, event_id, 'done' FROM owned
    ON CONFLICT DO NOTHING
    RETURNING event_id
),
-- Each row is looked up by the primary key, whatever number of rows the planner expects: the plan
-- is cached, and one made for an empty table would read the whole backlog. If an operator discards
-- a row meanwhile, the statement waits for its lock and then finds it gone. Rows of this table are
-- never updated, so a `ctid` that this statement sees names no other row.
completed AS (
    DELETE FROM bus.delivery d USING (
        SELECT x.ctid FROM owned o CROSS JOIN LATERAL (
            SELECT ctid FROM bus.delivery WHERE subscriber = $1 AND pos = o.pos OFFSET 0) x
    ) AS found
    WHERE d.ctid = found.ctid
),
unparked AS (
    DELETE FROM bus.parked p USING owned o WHERE p.subscriber = $1 AND p.key = o.key
)
SELECT all_of_them AS fenced, ARRAY(SELECT event_id FROM receipt) AS fresh FROM held

-- name: park
-- Parks a key for some seconds, or permanently (NULL). $8 is the number of attempts that this
-- failure adds: none for an outage. Fenced like every write of a worker.
-- `pending`: an event that an operator has discarded meanwhile must not park its key again.
WITH fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND bucket = $2 AND owner = $3 AND epoch = $4
    FOR KEY SHARE
),
pending AS (
    SELECT d.pos FROM fence, bus.delivery d JOIN bus.event e ON e.pos = d.pos
    WHERE d.subscriber = $1 AND e.id = $6
    FOR KEY SHARE OF d
)
INSERT INTO bus.parked
    (subscriber, key, event_id, until, attempts, reason, fingerprint, error_class)
SELECT $1, $5, $6,
       CASE WHEN $7::float8 IS NULL THEN 'infinity'
            ELSE clock_timestamp() + make_interval(secs => $7::float8) END,
       $8, $9, $10, $11
FROM pending
ON CONFLICT (subscriber, key) DO UPDATE
SET event_id = excluded.event_id, until = excluded.until,
    attempts = CASE WHEN parked.event_id = excluded.event_id THEN parked.attempts ELSE 0 END
               + excluded.attempts,
    reason = excluded.reason, fingerprint = excluded.fingerprint,
    error_class = excluded.error_class, last_failed = clock_timestamp(),
    first_failed = CASE WHEN parked.event_id = excluded.event_id
                        THEN parked.first_failed ELSE clock_timestamp() END

-- name: end_outage_pauses
-- Ends the pauses of keys that wait for an outage to end, in the order in which they would end;
-- pauses after other failures continue. Without a fence: no delivery is completed by this, only
-- retried sooner. Rows that another transaction has locked are skipped.
WITH waiting AS (
    SELECT subscriber, key FROM bus.parked
    WHERE subscriber = ANY($1::text[]) AND reason = 'outage'
      AND until > clock_timestamp() AND until < 'infinity'
    ORDER BY until LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
),
woken AS (
    UPDATE bus.parked p SET until = clock_timestamp() FROM waiting w
    WHERE p.subscriber = w.subscriber AND p.key = w.key
    RETURNING p.key
)
SELECT count(*) FROM woken

-- name: past_failures
SELECT attempts, reason,
       extract(epoch FROM clock_timestamp() - first_failed)::float8 AS elapsed_seconds
FROM bus.parked WHERE subscriber = $1 AND key = $2 AND event_id = $3

-- name: dead_letter
-- Moves the delivery of an event without a key to the dead letters. An event with a key is parked
-- instead, because its key would get a gap.
WITH fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND bucket = $2 AND owner = $3 AND epoch = $4
    FOR KEY SHARE
),
completed AS (
    DELETE FROM bus.delivery d USING fence
    WHERE d.subscriber = $1 AND d.pos = $5
    RETURNING d.subscriber, d.pos, d.bucket, d.event_id, d.key
),
history AS (
    DELETE FROM bus.parked p USING completed
    WHERE p.subscriber = $1 AND p.key = '@' || completed.event_id
    RETURNING p.first_failed
)
INSERT INTO bus.dead (subscriber, pos, bucket, event_id, key, reason, fingerprint, error_class,
                      attempts, first_failed, last_failed)
SELECT completed.*, $6, $7, $8, $9,
       coalesce((SELECT first_failed FROM history), clock_timestamp()), clock_timestamp()
FROM completed

