-- The statements whose concurrency carries the guarantees of the bus. Each says which race it wins.

-- name: emit
-- Stores events with gap-free numbers per key, and one delivery for each subscriber.
-- `numbered` takes each key's row lock and holds it until COMMIT: numbers follow commit order.
-- Its rows are sorted by key, so two transactions that share several keys cannot deadlock.
-- Positions are drawn above the join with `numbered`, that is, with all locks held: within a key
-- they follow commit order too, which lets readers go by position.
WITH incoming AS (
    SELECT *
    FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::timestamptz[])
        WITH ORDINALITY
        AS i(id, type, version, topic, key, record_key, payload, headers, occurred_at, ordinal)
),
numbered AS (
    INSERT INTO bus.stream (key, seq)
    SELECT key, count(*) FROM incoming WHERE key IS NOT NULL GROUP BY key ORDER BY key
    ON CONFLICT (key) DO UPDATE SET seq = stream.seq + excluded.seq
    RETURNING key, seq
),
stored AS (
    INSERT INTO bus.event
        (id, type, version, topic, key, seq, record_key, payload, headers, occurred_at)
    SELECT id, type, version, topic, key, seq, record_key, payload::json, headers::jsonb,
           occurred_at
    FROM (
        SELECT i.*,
               n.seq - (count(*) OVER (PARTITION BY i.key ORDER BY i.ordinal DESC) - 1) AS seq
        FROM incoming i LEFT JOIN numbered n ON n.key = i.key
        ORDER BY i.ordinal
    ) AS ordered
    RETURNING id, pos, key
)
INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)
SELECT d.subscriber, s.pos, d.bucket, s.id, s.key
FROM unnest($10::uuid[], $11::text[], $12::smallint[]) AS d(event_id, subscriber, bucket)
JOIN stored s ON s.id = d.event_id

