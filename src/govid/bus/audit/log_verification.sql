-- The statements that verify the log. All see one snapshot.

-- name: use_indexes
-- Pages are read along indexes, even if the tables were small when they were last analysed.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true)

-- name: use_iso_times
-- Times are read as text: they may be outside Python's calendar.
SELECT set_config('datestyle', 'ISO', true)

-- name: totals
SELECT (SELECT count(*) FROM audit.leaf) AS leaves, clock_timestamp() AS now

-- name: leaves
-- From an index, the next leaves with their entries.
SELECT l.index, l.entry_id, l.hash, l.nodes,
       e.id, e.at::text AS at, e.event, e.subject, e.content, e.mac
FROM audit.leaf l LEFT JOIN audit.entry e ON e.id = l.entry_id
WHERE l.index >= $1 ORDER BY l.index LIMIT $2

-- name: unsealed
-- Entries without a leaf, above a position.
SELECT e.position, e.id, e.at::text AS at, e.event, e.subject, e.content, e.mac
FROM audit.entry e
WHERE e.position > $1 AND NOT EXISTS (SELECT FROM audit.leaf l WHERE l.entry_id = e.id)
ORDER BY e.position LIMIT $2

-- name: restricted
SELECT entry_id, content FROM audit.restricted WHERE entry_id = ANY($1::uuid[])

-- name: restricted_alone
-- Personal values without an entry that are younger than entries may be.
SELECT DISTINCT r.entry_id FROM audit.restricted r
WHERE r.at > $1 AND NOT EXISTS (SELECT FROM audit.entry e WHERE e.id = r.entry_id)
LIMIT $2

-- name: checkpoints
SELECT size, root, note FROM audit.checkpoint WHERE size > $1 ORDER BY size LIMIT $2
