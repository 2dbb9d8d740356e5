-- The statements of retention. All run on its own connection.

-- name: partitions
-- Every partition of a table of the bus, with its bounds as PostgreSQL writes them.
SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = ('bus.' || $1::text)::regclass

-- name: event_needed
-- Whether events of a range of ids have pending deliveries or dead letters. Pending deliveries are
-- found by index, by the positions of these events: no index begins with their ids.
WITH RECURSIVE pending AS (
    (SELECT subscriber FROM bus.delivery ORDER BY subscriber LIMIT 1)
    UNION ALL
    SELECT (SELECT d.subscriber FROM bus.delivery d WHERE d.subscriber > p.subscriber
            ORDER BY d.subscriber LIMIT 1)
    FROM pending p WHERE p.subscriber IS NOT NULL
),
bounds AS MATERIALIZED (
    SELECT min(pos) AS low, max(pos) AS high FROM bus.event WHERE id >= $1 AND id < $2
)
SELECT EXISTS (
        SELECT FROM bounds b CROSS JOIN pending p CROSS JOIN LATERAL (
            SELECT FROM bus.delivery d
            WHERE d.subscriber = p.subscriber AND d.pos >= b.low AND d.pos <= b.high
            LIMIT 1
        ) AS delivery
    )
    OR EXISTS (SELECT FROM bus.dead WHERE event_id >= $1 AND event_id < $2)

-- name: receipt_needed
-- Without its receipt an event that still exists would look lost, and a replay would handle it
-- again.
SELECT EXISTS (SELECT FROM bus.event WHERE id >= $1 AND id < $2)

-- name: purge_inbox
DELETE FROM bus.inbox WHERE foreign_id_hash IN (
    SELECT foreign_id_hash FROM bus.inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)

-- name: purge_replica
-- Live replicas delete dead ones at every renewal. These rows remain when the last replica stops.
DELETE FROM bus.replica WHERE id IN (
    SELECT id FROM bus.replica WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
)
