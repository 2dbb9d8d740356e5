-- What waits for a person, and what the person does about it. The acts name each delivery, and look
-- again under the row's lock: of two operators one finds nothing left to do.

-- name: groups
-- The stuck by what they have in common. The example is the latest.
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
-- The head of each key that is set aside, and what is dead.
SELECT subscriber, event_id, CASE WHEN until = 'infinity' THEN 'parked' ELSE 'waiting' END AS state,
       reason, error_class, fingerprint, first_failed, last_failed
FROM bus.parked WHERE until > clock_timestamp()
UNION ALL
SELECT subscriber, event_id, 'dead', reason, error_class, fingerprint, first_failed, last_failed
FROM bus.dead

-- name: unpark
-- What has failed so far stays counted: a key without attempts left has one.
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
WITH raised AS (
    DELETE FROM bus.dead d
    USING unnest($1::text[], $2::uuid[]) AS c(subscriber, event_id)
    WHERE d.subscriber = c.subscriber AND d.event_id = c.event_id
    RETURNING d.subscriber, d.pos, d.bucket, d.event_id, d.key
),
owed AS (
    INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)
    SELECT * FROM raised
    ON CONFLICT DO NOTHING
)
SELECT subscriber, event_id FROM raised

-- name: discard_parked
-- The head of the key counts as settled, and those behind it go on. A replayed event keeps the
-- receipt of its first time.
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
struck AS (
    DELETE FROM bus.delivery d USING chosen c
    WHERE d.subscriber = c.subscriber AND d.event_id = c.event_id
    RETURNING d.subscriber, d.event_id
),
receipts AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome)
    SELECT subscriber, event_id, 'discarded' FROM struck
    ON CONFLICT DO NOTHING
)
SELECT subscriber, event_id FROM struck

-- name: discard_dead
WITH buried AS (
    DELETE FROM bus.dead d
    USING unnest($1::text[], $2::uuid[]) AS c(subscriber, event_id)
    WHERE d.subscriber = c.subscriber AND d.event_id = c.event_id
    RETURNING d.subscriber, d.event_id
),
receipts AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome)
    SELECT subscriber, event_id, 'discarded' FROM buried
    ON CONFLICT DO NOTHING
)
SELECT subscriber, event_id FROM buried
