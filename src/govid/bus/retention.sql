-- The statements by which old rows leave. All run on retention's own connection.

-- name: partitions
-- Every partition of a table of the bus, with its bounds as PostgreSQL writes them.
SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = ('bus.' || $1::text)::regclass

-- name: event_needed
-- Whether something is still owed from events of a range of ids, or waits for an operator.
SELECT EXISTS (SELECT FROM bus.delivery WHERE event_id >= $1 AND event_id < $2)
    OR EXISTS (SELECT FROM bus.dead WHERE event_id >= $1 AND event_id < $2)

-- name: receipt_needed
-- Without its receipt an event that is still there looks lost, and a replay would run it again.
SELECT EXISTS (SELECT FROM bus.event WHERE id >= $1 AND id < $2)

-- name: purge_inbox
DELETE FROM bus.inbox WHERE foreign_id_hash IN (
    SELECT foreign_id_hash FROM bus.inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)

-- name: purge_replica
-- Whoever lives removes the dead at every renewal; these are the last of a house that was shut.
DELETE FROM bus.replica WHERE id IN (
    SELECT id FROM bus.replica WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
)
