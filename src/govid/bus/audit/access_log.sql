-- The statements that read what one account holder may see of the audit log.

-- name: page
-- Reads of the data of account $1, and of the data of all accounts since this one was created ($2),
-- after entry $3. Each part follows an index and ends at the limit.
WITH bound AS MATERIALIZED (
    -- An entry that is no longer stored was the oldest, so the list begins anew without it.
    SELECT coalesce((
        SELECT position FROM audit.entry
        WHERE id = $3 AND event = 'data.read' AND (subject = $1 OR subject IS NULL)
    ), 0) AS after,
    coalesce((
        SELECT position FROM audit.entry
        WHERE subject = $1 AND event = 'account.registered' ORDER BY position LIMIT 1
    ), 0) AS registered
)
SELECT found.id, found.content, found.subject IS NULL AS is_common, l.index IS NOT NULL AS is_sealed
FROM (
    (
        SELECT id, position, subject,
            CASE WHEN octet_length(content) <= $5 THEN content END AS content
        FROM audit.entry
        WHERE subject = $1 AND event = 'data.read' AND position > (SELECT after FROM bound)
        ORDER BY position LIMIT $4
    )
    UNION ALL
    (
        SELECT id, position, subject,
            CASE WHEN octet_length(content) <= $5 THEN content END AS content
        FROM audit.entry
        WHERE subject IS NULL AND event = 'data.read' AND at >= $2
            AND position > (SELECT greatest(after, registered) FROM bound)
        ORDER BY position LIMIT $4
    )
) AS found
LEFT JOIN audit.leaf l ON l.entry_id = found.id
ORDER BY found.position LIMIT $4

-- name: entry
-- Entry $3 with its leaf, if account $1 may see it.
SELECT CASE WHEN octet_length(e.content) <= $4 THEN e.content END AS content, l.index, l.hash
FROM audit.entry e LEFT JOIN audit.leaf l ON l.entry_id = e.id
WHERE e.id = $3 AND e.event = 'data.read'
    AND (e.subject = $1 OR (e.subject IS NULL AND e.at >= $2))

-- name: checkpoint
SELECT size, root, note FROM audit.checkpoint ORDER BY size DESC LIMIT 1
