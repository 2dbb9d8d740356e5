-- The statements of failed deliveries: parking, the end of an outage, dead letters.

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
    WHERE d.subscriber = $1 AND d.pos = $5 AND d.event_id = $10
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
