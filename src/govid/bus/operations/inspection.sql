-- Reads the outbox for operators. $1 and $2 bound the ids of events, which begin with their time.
-- So each statement reads the partitions of those days only, and finds receipts although no index
-- begins with their event.

-- name: stuck_counts
SELECT subscriber,
       count(*) FILTER (WHERE until <> 'infinity') AS waiting_keys,
       count(*) FILTER (WHERE until = 'infinity') AS parked_keys
FROM bus.parked GROUP BY subscriber

-- name: dead_counts
SELECT subscriber, count(*) AS dead FROM bus.dead GROUP BY subscriber

-- name: span_of_all
SELECT (SELECT id FROM bus.event ORDER BY id LIMIT 1) AS lowest,
       (SELECT id FROM bus.event ORDER BY id DESC LIMIT 1) AS highest

-- name: span_of_key
SELECT first_id AS lowest, last_id AS highest FROM bus.stream WHERE key = $1

-- name: span_of_stuck
SELECT min(event_id::text)::uuid AS lowest, max(event_id::text)::uuid AS highest FROM (
    SELECT event_id FROM bus.parked UNION ALL SELECT event_id FROM bus.dead
) AS stuck

-- name: deliveries
-- One row for each event of the range and each of its subscribers, in any state; the newest first.
-- Later events of a parked key are pending: they wait for their key, not for an operator.
-- $3 to $6 filter events, $7 the subscriber, $8 the state; $9 selects only parked or dead ones.
WITH chosen AS MATERIALIZED (
    SELECT id, pos, type, key, seq, topic, stored_at
    FROM bus.event
    WHERE id >= $1 AND id < $2
      AND ($3::uuid[] IS NULL OR id = ANY ($3))
      AND ($4::text IS NULL OR key = $4)
      AND ($5::text IS NULL OR type = $5)
      AND ($6::text IS NULL OR topic = $6)
      AND (NOT $9::boolean OR id IN (SELECT event_id FROM bus.parked
                                     UNION ALL SELECT event_id FROM bus.dead))
),
bounds AS (
    SELECT min(pos) AS low, max(pos) AS high FROM chosen
),
names AS MATERIALIZED (
    SELECT DISTINCT subscriber FROM bus.lease WHERE $7::text IS NULL
    UNION SELECT $7::text WHERE $7::text IS NOT NULL
    UNION SELECT subscriber FROM unnest($10::text[]) AS u(subscriber) WHERE $7::text IS NULL
),
pending AS MATERIALIZED (
    SELECT d.subscriber, d.pos, d.event_id, d.key, d.replay_id
    FROM names n CROSS JOIN bounds b
    CROSS JOIN LATERAL (
        SELECT * FROM bus.delivery
        WHERE subscriber = n.subscriber AND pos >= b.low AND pos <= b.high
        OFFSET 0
    ) d
),
deliveries AS (
    SELECT d.subscriber, d.event_id, d.replay_id, p.attempts, p.reason, p.error_class,
           CASE WHEN p.event_id IS NULL THEN 'pending'
                WHEN p.until = 'infinity' THEN 'parked' ELSE 'waiting' END AS state,
           NULL::timestamptz AS handled_at, NULL::integer AS partition, NULL::bigint AS "offset"
    FROM pending d
    LEFT JOIN bus.parked p
        ON p.subscriber = d.subscriber AND p.key = coalesce(d.key, '@' || d.event_id)
        AND p.event_id = d.event_id
    UNION ALL
    SELECT subscriber, event_id, NULL, attempts, reason, error_class, 'dead', NULL, NULL, NULL
    FROM bus.dead
    WHERE event_id >= $1 AND event_id < $2 AND ($7::text IS NULL OR subscriber = $7)
    UNION ALL
    SELECT r.subscriber, r.event_id, NULL, NULL, NULL, NULL, r.outcome, r.handled_at,
           r.partition, r."offset"
    FROM bus.receipt r
    WHERE r.event_id >= $1 AND r.event_id < $2 AND ($7::text IS NULL OR r.subscriber = $7)
      AND NOT $9
      AND NOT EXISTS (
          SELECT FROM pending d WHERE d.subscriber = r.subscriber AND d.event_id = r.event_id)
)
SELECT c.*, f.subscriber, f.state, f.attempts, f.reason, f.error_class, f.replay_id, f.handled_at,
       f.partition, f."offset"
FROM chosen c JOIN deliveries f ON f.event_id = c.id
WHERE $8::text IS NULL OR f.state = $8
ORDER BY c.pos DESC, f.subscriber
LIMIT $11

-- name: event
SELECT id, pos, type, version, topic, key, seq, record_key, payload::text AS payload,
       headers::text AS headers, occurred_at, stored_at
FROM bus.event WHERE id = $1
