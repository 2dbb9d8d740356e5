-- The statements of the sealer. All of a round run in one transaction, under an advisory lock.

-- name: last_checkpoint
SELECT size, root, note, floor, at FROM audit.checkpoint ORDER BY size DESC LIMIT 1

-- name: horizon
-- The last position that was drawn, and the oldest transaction that writes. The next statement sees
-- all that had committed by then.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS highest,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
       date_trunc('second', clock_timestamp()) AS now
FROM audit.entry_position

-- name: current_transaction
-- A transaction has an id before it draws a position (migration 0029). So every transaction with a
-- position up to the horizon has a lower id than this one.
SELECT pg_current_xact_id()::text::bigint

-- name: candidates
-- Entries without a leaf, above a position.
SELECT e.position, e.id, e.content, e.mac FROM audit.entry e
WHERE e.position > $1 AND NOT EXISTS (SELECT FROM audit.leaf l WHERE l.entry_id = e.id)
ORDER BY e.position
LIMIT $2

-- name: left_behind
-- Entries without a leaf in a range of positions.
SELECT e.position, e.id, e.content, e.mac FROM audit.entry e
WHERE e.position > $1 AND e.position <= $2
    AND NOT EXISTS (SELECT FROM audit.leaf l WHERE l.entry_id = e.id)
ORDER BY e.position

-- name: has_leaf_from
SELECT EXISTS (SELECT FROM audit.leaf WHERE index >= $1)

-- name: append
INSERT INTO audit.leaf (index, entry_id, hash, nodes)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[])

-- name: store_checkpoint
INSERT INTO audit.checkpoint (size, root, note, floor, at) VALUES ($1, $2, $3, $4, $5)
