-- The statements that search the audit log. A parameter that is null does not filter.

-- name: first_position
-- No entry up to this position was written after a time. Entries up to the floor of a checkpoint
-- had ended when it was signed; one day allows for clocks that differ.
SELECT coalesce(max(floor), 0) FROM audit.checkpoint
WHERE at < $1::timestamptz - interval '1 day'

-- name: oldest
SELECT e.position, e.id, e.at, e.event, e.subject, e.content, e.mac, l.index, l.hash
FROM audit.entry e LEFT JOIN audit.leaf l ON l.entry_id = e.id
WHERE e.position > $1 AND e.position > $2
  AND ($4::uuid IS NULL OR e.subject = $4)
  AND ($5::text IS NULL OR e.event = $5 OR (right($5, 1) = '.' AND starts_with(e.event, $5)))
  AND ($6::timestamptz IS NULL OR e.at >= $6)
  AND ($7::timestamptz IS NULL OR e.at < $7)
  AND ($8::bytea[] IS NULL OR EXISTS (SELECT FROM unnest($8) d WHERE position(d IN e.content) > 0))
ORDER BY e.position
LIMIT $3

-- name: newest
SELECT e.position, e.id, e.at, e.event, e.subject, e.content, e.mac, l.index, l.hash
FROM audit.entry e LEFT JOIN audit.leaf l ON l.entry_id = e.id
WHERE e.position < $1 AND e.position > $2
  AND ($4::uuid IS NULL OR e.subject = $4)
  AND ($5::text IS NULL OR e.event = $5 OR (right($5, 1) = '.' AND starts_with(e.event, $5)))
  AND ($6::timestamptz IS NULL OR e.at >= $6)
  AND ($7::timestamptz IS NULL OR e.at < $7)
  AND ($8::bytea[] IS NULL OR EXISTS (SELECT FROM unnest($8) d WHERE position(d IN e.content) > 0))
ORDER BY e.position DESC
LIMIT $3

-- name: restricted
SELECT entry_id, content FROM audit.restricted WHERE entry_id = ANY($1::uuid[])
