-- The statements whose concurrency carries the guarantees of the bus. Each says which race it wins.

-- name: emit
-- Stores events with gap-free numbers per key, and one delivery for each subscriber.
-- `numbered` takes each key's row lock and holds it until COMMIT: numbers follow commit order.
-- Its rows are sorted by key, so two transactions that share several keys cannot deadlock.
-- Positions are drawn above the join with `numbered`, that is, with all locks held: within a key
-- they follow commit order too, which lets readers go by position.
-- Addressees, and the ends of each key, are noted for the proof that nothing is missing.
WITH incoming AS (
    SELECT *
    FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::timestamptz[])
        WITH ORDINALITY
        AS i(id, type, version, topic, key, record_key, payload, headers, occurred_at, ordinal)
),
owed AS (
    SELECT * FROM unnest($10::uuid[], $11::text[], $12::smallint[])
        AS d(event_id, subscriber, bucket)
),
addressed AS (
    SELECT event_id, array_agg(subscriber ORDER BY subscriber) AS addressees
    FROM owed GROUP BY event_id
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
FROM owed d JOIN stored s ON s.id = d.event_id

-- name: add_leases
-- A new subscriber gets its buckets; for all others this changes nothing.
INSERT INTO bus.lease (subscriber, bucket)
SELECT s, b FROM unnest($1::text[]) AS s, generate_series(0, $2::int - 1) AS b
ON CONFLICT DO NOTHING

-- name: heartbeat
-- Says that this replica lives, forgets those that do not, and counts the living.
-- A replica lives while its session holds its advisory lock; the time is for those whose server
-- has not noticed yet that the connection is gone.
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
-- Whatever still carries our name, lapsed or not: nobody else has had it since, or the name and
-- the epoch would be another's.
UPDATE bus.lease SET until = clock_timestamp() + make_interval(secs => $2)
WHERE owner = $1
RETURNING subscriber, bucket, epoch

-- name: claim
-- FOR UPDATE and not a plain UPDATE: it conflicts with the fence's FOR KEY SHARE, so a bucket
-- whose last owner is in the middle of a completing transaction is left alone until that ends.
-- `orphaned`: the last owner did not give it back, so it may have died of what it was doing.
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

-- name: mark
-- Says which event runs alone now: if the process dies of it, the next owner will know.
UPDATE bus.lease SET inflight_pos = $5
WHERE subscriber = $1 AND bucket = $2 AND owner = $3 AND epoch = $4

-- name: blame
-- Counts a crash against the key of each event that ran alone when its process died, and parks it
-- for good at the limit. An event that had completed by then is owed no more, and not blamed.
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
-- What is owed to a subscriber in its owned buckets, oldest first. Rows of a key in work and of a
-- parked key are left out. An event without a key stands for itself: its key is '@' and its id.
-- Most reads begin above a floor (floor.py). The events are fetched by their ids afterwards: in one
-- statement the planner would have to look at every partition, for each read.
-- NOT IN, because it hashes its list, whatever the plan. One time for all rows: with the clock's,
-- a pause that ends while we read would let a key's later events pass its first.
-- `acts` counts what operators did, as this statement sees it.
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
-- $2 and $3 are the lowest and the highest of the ids: by them PostgreSQL leaves out the partitions
-- of other days, which it cannot do by a list in a plan that is made once.
SELECT id, type, version, seq, payload::text AS payload, headers::text AS headers, occurred_at
FROM bus.event WHERE id = ANY($1::uuid[]) AND id >= $2 AND id <= $3

-- name: horizon
-- The last position that was drawn, the oldest transaction that writes, and how often operators
-- have acted. What they do owes and frees deliveries of any age.
SELECT last_value AS highest, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
       (SELECT coalesce(max(seq), 0) FROM bus.stream WHERE key = 'operator/outbox') AS acts
FROM bus.event_position

-- name: mark_time
-- A keyed event draws its position with its stream's row lock held, so its transaction has a
-- number by then: it is lower than this one, if the position had been drawn before.
SELECT pg_current_xact_id()::text::bigint

-- name: hidden
-- The keys that owe something between two positions, whether it could be handled or not.
SELECT DISTINCT key FROM bus.delivery
WHERE subscriber = $1 AND bucket = ANY($2::smallint[]) AND pos > $3 AND pos <= $4
  AND key IS NOT NULL
LIMIT $5

-- name: take
-- The first statement of a handler's transaction: checks the lease, marks the event as handled and
-- strikes the debt off, all or nothing. `fenced` 0: the lease is another's, stop. `fresh` 0: this
-- event was handled before, so there is nothing to do but to commit.
-- FOR KEY SHARE lets the owner renew meanwhile, and keeps a claimant out until we commit (I4).
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
struck AS (
    DELETE FROM bus.delivery d USING fence WHERE d.subscriber = $1 AND d.pos = $6
),
unparked AS (
    DELETE FROM bus.parked p USING fence WHERE p.subscriber = $1 AND p.key = $7
)
SELECT (SELECT count(*) FROM fence) AS fenced, (SELECT count(*) FROM receipt) AS fresh

-- name: take_group
-- The same for deliveries of several keys, all or nothing. `fenced` is false if one of the buckets
-- is another replica's; `fresh` lists the events that had not been handled before.
-- The fence reads row locks, not the snapshot: a take-over that has committed is always seen.
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
-- Each row is looked up by the primary key, whatever number of rows the planner expects: its plan
-- is made once, and would read the whole backlog if it was made while there was none. A row that an
-- operator discards meanwhile is waited for, and then gone: rows of this table are never updated, so
-- a `ctid` that this statement sees names no other row.
struck AS (
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
-- Sets a key aside for some seconds, or for good (NULL). The attempts given are what this failure
-- adds: none for an outage. Fenced like everything that a worker writes.
-- `owed`: what an operator has discarded meanwhile must not stop its key any more.
WITH fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND bucket = $2 AND owner = $3 AND epoch = $4
    FOR KEY SHARE
),
owed AS (
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
FROM owed
ON CONFLICT (subscriber, key) DO UPDATE
SET event_id = excluded.event_id, until = excluded.until,
    attempts = CASE WHEN parked.event_id = excluded.event_id THEN parked.attempts ELSE 0 END
               + excluded.attempts,
    reason = excluded.reason, fingerprint = excluded.fingerprint,
    error_class = excluded.error_class, last_failed = clock_timestamp(),
    first_failed = CASE WHEN parked.event_id = excluded.event_id
                        THEN parked.first_failed ELSE clock_timestamp() END

-- name: recover
-- Ends the pauses of keys that wait out an outage, those first that would end first; of other
-- failures they go on. Without a fence: nothing is handled by this, only looked at sooner. What
-- somebody else has in hand is his.
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

-- name: bury
-- Moves an event without a key to the dead ones. One with a key never comes here: its key would
-- get a gap.
WITH fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND bucket = $2 AND owner = $3 AND epoch = $4
    FOR KEY SHARE
),
struck AS (
    DELETE FROM bus.delivery d USING fence
    WHERE d.subscriber = $1 AND d.pos = $5
    RETURNING d.subscriber, d.pos, d.bucket, d.event_id, d.key
),
history AS (
    DELETE FROM bus.parked p USING struck
    WHERE p.subscriber = $1 AND p.key = '@' || struck.event_id
    RETURNING p.first_failed
)
INSERT INTO bus.dead (subscriber, pos, bucket, event_id, key, reason, fingerprint, error_class,
                      attempts, first_failed, last_failed)
SELECT struck.*, $6, $7, $8, $9,
       coalesce((SELECT first_failed FROM history), clock_timestamp()), clock_timestamp()
FROM struck

