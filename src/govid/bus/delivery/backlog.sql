-- The statements of the backlog and its scan watermark.

-- name: backlog
-- The pending deliveries of a subscriber in its owned buckets, oldest first, without those of keys
-- that are being processed or parked. The key of an event without one is '@' and its id.
-- Most reads begin above the scan watermark (backlog.py). The events are fetched by their ids
-- afterwards: in one statement the planner would read every partition, for each fetch.
-- NOT IN, because it hashes its list, whatever the plan. One timestamp for all rows: with the
-- clock's, a pause that ends during the read would let a key's later events pass its first.
-- `action_count` counts the operator actions that are visible to this statement.
SELECT d.pos, d.bucket, d.event_id, coalesce(d.key, '@' || d.event_id) AS key,
       (SELECT coalesce(max(seq), 0) FROM bus.stream WHERE key = 'operator/outbox') AS action_count
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
       (SELECT coalesce(max(seq), 0) FROM bus.stream WHERE key = 'operator/outbox') AS action_count
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
