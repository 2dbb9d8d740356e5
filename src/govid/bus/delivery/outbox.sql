-- The statement of the outbox.

-- name: emit
-- Stores events with gap-free sequence numbers per key, and one delivery for each subscriber.
-- `numbered` takes each key's row lock and holds it until COMMIT: numbers follow commit order.
-- Its rows are sorted by key, so two transactions that share several keys cannot deadlock.
-- Positions are drawn above the join with `numbered`, that is, with all locks held: within a key
-- they follow commit order too, so readers can order by position.
-- The addressees of each event and the first and last event of each key are stored for
-- `govid outbox verify`. The entries of the audit log take no lock.
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
),
audited AS (
    INSERT INTO audit.entry (id, at, event, subject, content, mac)
    SELECT id, at, event, subject, content, mac
    FROM unnest($13::uuid[], $14::timestamptz[], $15::text[], $16::uuid[], $17::bytea[],
                $18::bytea[])
        WITH ORDINALITY AS e(id, at, event, subject, content, mac, ordinal)
    ORDER BY ordinal
),
restricted AS (
    INSERT INTO audit.restricted (entry_id, kind, content, at)
    SELECT * FROM unnest($19::uuid[], $20::text[], $21::text[], $22::timestamptz[])
)
INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)
SELECT d.subscriber, s.pos, d.bucket, s.id, s.key
FROM pending d JOIN stored s ON s.id = d.event_id
