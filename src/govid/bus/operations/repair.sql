-- Parked keys and dead letters, and the operator actions on them. An action names each delivery and
-- checks it again under its row lock: of two concurrent operators one finds nothing left to do.

-- name: groups
-- Parked and dead-lettered deliveries by their common cause. The example is the latest.
SELECT s.subscriber, s.state, s.reason, s.error_class, s.fingerprint, count(*) AS count,
       min(s.first_failed) AS first_failed, max(s.last_failed) AS last_failed,
       (array_agg(s.event_id ORDER BY s.last_failed DESC))[1] AS example_id
FROM ({stuck}) s LEFT JOIN bus.event e ON e.id = s.event_id
WHERE {conditions} AND ($8::text IS NULL OR s.fingerprint = $8)
GROUP BY 1, 2, 3, 4, 5
ORDER BY s.state = 'waiting', count(*) DESC, s.subscriber, s.fingerprint

-- name: choose
SELECT s.subscriber, s.event_id, s.state
FROM ({stuck}) s LEFT JOIN bus.event e ON e.id = s.event_id
WHERE {conditions} AND ($8::text IS NULL OR s.fingerprint = $8) AND s.state = ANY($9::text[])
ORDER BY s.subscriber, s.event_id

-- name: stuck
-- The first event of each parked key, and all dead letters.
SELECT subscriber, event_id, CASE WHEN until = 'infinity' THEN 'parked' ELSE 'waiting' END AS state,
       reason, error_class, fingerprint, first_failed, last_failed
FROM bus.parked WHERE until > clock_timestamp()
UNION ALL
SELECT subscriber, event_id, 'dead', reason, error_class, fingerprint, first_failed, last_failed
FROM bus.dead

-- name: unpark
-- Failed attempts stay counted: a key without attempts left gets one more.
WITH chosen AS (
    SELECT p.subscriber, p.key
    FROM bus.parked p JOIN unnest($1::text[], $2::uuid[]) AS c(subscriber, event_id)
        ON c.subscriber = p.subscriber AND c.event_id = p.event_id
    WHERE p.until > clock_timestamp()
    ORDER BY p.subscriber, p.key
    FOR UPDATE OF p
)
UPDATE bus.parked p SET until = '-infinity'
FROM chosen c WHERE p.subscriber = c.subscriber AND p.key = c.key
RETURNING p.subscriber, p.event_id

-- name: retry_parked
WITH chosen AS (
    SELECT p.subscriber, p.key
    FROM bus.parked p JOIN unnest($1::text[], $2::uuid[]) AS c(subscriber, event_id)
        ON c.subscriber = p.subscriber AND c.event_id = p.event_id
    WHERE p.until > clock_timestamp()
    ORDER BY p.subscriber, p.key
    FOR UPDATE OF p
)
DELETE FROM bus.parked p
USING chosen c WHERE p.subscriber = c.subscriber AND p.key = c.key
RETURNING p.subscriber, p.event_id

-- name: retry_dead
WITH revived AS (
    DELETE FROM bus.dead d
    USING unnest($1::text[], $2::uuid[]) AS c(subscriber, event_id)
    WHERE d.subscriber = c.subscriber AND d.event_id = c.event_id
    RETURNING d.subscriber, d.pos, d.bucket, d.event_id, d.key
),
pending AS (
    INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)
    SELECT * FROM revived
    ON CONFLICT DO NOTHING
)
SELECT subscriber, event_id FROM revived

-- name: discard_parked
-- The first event of the key counts as completed, and the later ones continue. A replayed event
-- keeps the receipt of its first delivery.
WITH chosen AS (
    SELECT p.subscriber, p.key, p.event_id
    FROM bus.parked p JOIN unnest($1::text[], $2::uuid[]) AS c(subscriber, event_id)
        ON c.subscriber = p.subscriber AND c.event_id = p.event_id
    WHERE p.until = 'infinity'
    ORDER BY p.subscriber, p.key
    FOR UPDATE OF p
),
freed AS (
    DELETE FROM bus.parked p USING chosen c WHERE p.subscriber = c.subscriber AND p.key = c.key
),
completed AS (
    DELETE FROM bus.delivery d USING chosen c
    WHERE d.subscriber = c.subscriber AND d.event_id = c.event_id
    RETURNING d.subscriber, d.event_id
),
receipts AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome)
    SELECT subscriber, event_id, 'discarded' FROM completed
    ON CONFLICT DO NOTHING
)
SELECT subscriber, event_id FROM completed

-- name: discard_dead
WITH dead_letters AS (
    DELETE FROM bus.dead d
    USING unnest($1::text[], $2::uuid[]) AS c(subscriber, event_id)
    WHERE d.subscriber = c.subscriber AND d.event_id = c.event_id
    RETURNING d.subscriber, d.event_id
),
receipts AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome)
    SELECT subscriber, event_id, 'discarded' FROM dead_letters
    ON CONFLICT DO NOTHING
)
SELECT subscriber, event_id FROM dead_letters
