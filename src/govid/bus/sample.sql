-- What the metrics want to know of the database. Each runs once for several scrapes.

-- name: stuck
-- By subscriber of $1: keys that wait for an operator, and dead events. Whoever has buckets is
-- there, so that nothing owed is a zero and not a gap.
WITH stuck AS (
    SELECT subscriber, count(*) AS parked_keys
    FROM bus.parked WHERE until = 'infinity' GROUP BY subscriber
),
lost AS (SELECT subscriber, count(*) AS dead FROM bus.dead GROUP BY subscriber)
SELECT subscriber, coalesce(parked_keys, 0) AS parked_keys, coalesce(dead, 0) AS dead
FROM unnest($1::text[]) AS known(subscriber)
LEFT JOIN stuck USING (subscriber) LEFT JOIN lost USING (subscriber)

-- name: gap_records
-- Inbound records that Kafka removed unread, without those that an operator has accepted.
SELECT coalesce(sum(next - first), 0)::bigint FROM bus.inbox_gap WHERE accepted_at IS NULL

-- name: dead_tuples
-- A partition counts for the table that it belongs to.
SELECT s.schemaname || '.' || coalesce(p.relname, s.relname) AS name,
       sum(s.n_dead_tup)::bigint AS dead
FROM pg_stat_user_tables s
LEFT JOIN pg_inherits i ON i.inhrelid = s.relid
LEFT JOIN pg_class p ON p.oid = i.inhparent
WHERE s.schemaname = 'bus'
GROUP BY 1

-- name: oldest_transaction
-- While a transaction is open, vacuum removes nothing that died since it began.
-- Other roles' transactions are hidden from a role without pg_read_all_stats: nothing is known then,
-- which is not the same as none.
SELECT CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE')
    THEN coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 END
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
    AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
