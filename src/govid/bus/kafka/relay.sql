-- The statements of the outbox relay.

-- name: topics_change
SELECT coalesce(max(change), 0) FROM bus.topic

-- name: topics_change_in_force
-- Reports that nothing from before the change is in flight on this replica.
UPDATE bus.replica SET topics_change = $2 WHERE id = $1

-- name: relay_still_owned
SELECT bucket FROM bus.lease
WHERE subscriber = $1 AND owner = $2
  AND (bucket, epoch) IN (SELECT * FROM unnest($3::smallint[], $4::bigint[]))

-- name: relay_backlog
-- Pending deliveries of the relay in the owned buckets, oldest first. Excluded are rows in flight,
-- parked keys, and paused topics. Most reads start above the scan watermark. The events are fetched
-- by their ids afterwards, as for every subscriber, and all rows are judged at one time, as there.
SELECT d.pos, d.bucket, d.event_id, d.key, d.replay_id,
       (SELECT coalesce(max(seq), 0) FROM bus.stream WHERE key = 'operator/outbox') AS action_count,
       (SELECT coalesce(max(change), 0) FROM bus.topic) AS topics_change
FROM bus.delivery d
WHERE d.subscriber = $1
  AND d.bucket = ANY($2::smallint[])
  AND d.pos > $6
  AND d.pos NOT IN (SELECT unnest($3::bigint[]))
  AND (d.key IS NULL OR d.key NOT IN (SELECT unnest($7::text[])))
  AND NOT EXISTS (
      SELECT FROM bus.parked p
      WHERE p.subscriber = d.subscriber AND p.key = coalesce(d.key, '@' || d.event_id)
        AND p.until > statement_timestamp())
  AND (cardinality($4::text[]) = 0 OR NOT EXISTS (
      SELECT FROM bus.event e WHERE e.id = d.event_id AND e.topic = ANY($4::text[])))
ORDER BY d.pos
LIMIT $5

-- name: relay_events
SELECT id, type, version, topic, seq, record_key,
       payload::text AS payload, headers::text AS headers, occurred_at
FROM bus.event WHERE id = ANY($1::uuid[]) AND id >= $2 AND id <= $3

-- name: relay_complete
-- Stores the position of each acknowledged record and completes its delivery, all or nothing. If
-- one of the leases was lost, nothing is written, and the new owner sends again. The fence reads
-- row locks, not the snapshot, so a committed take-over is always seen.
-- A replayed event keeps its first receipt.
WITH fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND owner = $2
      AND (bucket, epoch) IN (SELECT * FROM unnest($3::smallint[], $4::bigint[]))
    FOR KEY SHARE
),
held AS (
    SELECT count(*) = cardinality($3::smallint[]) AS all_of_them FROM fence
),
acked AS (
    SELECT a.*
    FROM unnest($5::bigint[], $6::uuid[], $7::text[], $8::int[], $9::bigint[])
        AS a(pos, event_id, topic, partition, "offset"), held
    WHERE held.all_of_them
),
-- By primary key and `ctid`, as in `complete_group`.
completed AS (
    DELETE FROM bus.delivery d USING (
        SELECT x.ctid FROM acked a CROSS JOIN LATERAL (
            SELECT ctid FROM bus.delivery
            WHERE subscriber = $1 AND pos = a.pos AND event_id = a.event_id OFFSET 0) x
    ) AS found
    WHERE d.ctid = found.ctid
),
unparked AS (
    DELETE FROM bus.parked p USING acked a WHERE p.subscriber = $1 AND p.event_id = a.event_id
),
receipts AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome, topic, partition, "offset")
    SELECT $1, a.event_id, 'done', a.topic, a.partition, a."offset" FROM acked a
    ON CONFLICT DO NOTHING
)
SELECT all_of_them FROM held
