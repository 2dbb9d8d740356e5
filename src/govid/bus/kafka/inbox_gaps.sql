-- Inbound records that Kafka removed before they were read.

-- name: record_gap
-- A gap that has grown since it was found is one gap, and has to be accepted anew. Returns up to
-- where it was known already, nothing if it has not grown.
WITH known AS (
    SELECT next FROM bus.inbox_gap WHERE topic = $1 AND partition = $2 AND first = $3
)
INSERT INTO bus.inbox_gap AS g (topic, partition, first, next) VALUES ($1, $2, $3, $4)
ON CONFLICT (topic, partition, first) DO UPDATE
SET next = excluded.next, found_at = clock_timestamp(), accepted_at = NULL
WHERE g.next < excluded.next
RETURNING coalesce((SELECT next FROM known), g.first)

-- name: open_gaps
SELECT topic, partition, first, next, found_at FROM bus.inbox_gap
WHERE accepted_at IS NULL ORDER BY topic, partition, first

-- name: accept_gap
UPDATE bus.inbox_gap SET accepted_at = clock_timestamp()
WHERE topic = $1 AND partition = $2 AND first = $3 AND accepted_at IS NULL
RETURNING next
