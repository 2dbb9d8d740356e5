-- Positions at which inbound partitions stopped, and records that Kafka removed unread.

-- name: report_inbound_fault
INSERT INTO bus.inbound_fault AS f (topic, partition, first_offset, next_offset, kind, reason)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (topic, partition, first_offset) DO UPDATE
SET next_offset = CASE WHEN f.accepted_at IS NULL THEN excluded.next_offset ELSE f.next_offset END,
    kind = excluded.kind, reason = excluded.reason

-- name: accepted_inbound_fault
SELECT next_offset FROM bus.inbound_fault
WHERE topic = $1 AND partition = $2 AND first_offset = $3 AND accepted_at IS NOT NULL

-- name: delete_passed_faults
-- Returns whether later faults are left.
WITH passed AS (
    DELETE FROM bus.inbound_fault WHERE topic = $1 AND partition = $2 AND first_offset < $3
)
SELECT EXISTS (
    SELECT FROM bus.inbound_fault WHERE topic = $1 AND partition = $2 AND first_offset >= $3
)

-- name: delete_faults_from
DELETE FROM bus.inbound_fault WHERE topic = $1 AND partition = $2 AND first_offset >= $3

-- name: inbound_faults
SELECT topic, partition, first_offset, next_offset, kind, reason, found_at, accepted_at
FROM bus.inbound_fault ORDER BY topic, partition, first_offset

-- name: accept_inbound_fault
-- If two operators accept the same fault, the second one gets no row.
UPDATE bus.inbound_fault SET accepted_at = clock_timestamp()
WHERE topic = $1 AND partition = $2 AND first_offset = $3 AND accepted_at IS NULL
RETURNING topic, partition, first_offset, next_offset, kind, reason, found_at, accepted_at

-- name: record_gap
-- A gap that has grown since it was found stays one gap and has to be accepted again. Returns the
-- offset up to which it was known, or no row if it has not grown.
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
