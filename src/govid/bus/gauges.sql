-- The database gauges. Each statement runs once for several scrapes.

-- name: stuck
-- For each subscriber of $1: permanently parked keys, and dead letters. A subscriber without any
-- has a row with zeros, so that its series has no gap.
WITH stuck AS (
    SELECT subscriber, count(*) AS parked_keys
    FROM bus.parked WHERE until = 'infinity' GROUP BY subscriber
),
dead_letters AS (SELECT subscriber, count(*) AS dead FROM bus.dead GROUP BY subscriber)
SELECT subscriber, coalesce(parked_keys, 0) AS parked_keys, coalesce(dead, 0) AS dead
FROM unnest($1::text[]) AS known(subscriber)
LEFT JOIN stuck USING (subscriber) LEFT JOIN dead_letters USING (subscriber)

-- name: gap_records
-- Inbound records that Kafka removed unread, without those that an operator has accepted.
SELECT coalesce(sum(next - first), 0)::bigint FROM bus.inbox_gap WHERE accepted_at IS NULL

-- name: dead_tuples
-- The rows of a partition are counted for its table.
SELECT s.schemaname || '.' || coalesce(p.relname, s.relname) AS name,
       sum(s.n_dead_tup)::bigint AS dead
FROM pg_stat_user_tables s
LEFT JOIN pg_inherits i ON i.inhrelid = s.relid
LEFT JOIN pg_class p ON p.oid = i.inhparent
WHERE s.schemaname = 'bus'
GROUP BY 1

-- name: oldest_transaction
-- While a transaction is open, vacuum cannot remove rows that were deleted since it began.
-- A role without pg_read_all_stats cannot see the transactions of other roles. The result is then
-- null, which is not the same as zero.
SELECT CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE')
    THEN coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 END
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
    AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
