-- The statements of the inbox.

-- name: echoes
-- Echoes are records that govid published itself: an event has the same id, topic and payload.
SELECT e.id
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS r(id, topic, value)
JOIN bus.event e ON e.id = r.id AND e.topic = r.topic AND e.payload::text = r.value

-- name: insert_identities
-- Returns the records that are new. If two replicas insert the same id at the same time, one waits
-- for the other here and then gets no row. If an id occurs twice in a batch, the first one counts,
-- because the second may follow later records of its key.
INSERT INTO bus.inbox (foreign_id_hash, source, foreign_id, event_id, digest)
SELECT i.hash, i.source, i.id, i.event, i.digest
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::uuid[], $5::bytea[])
    WITH ORDINALITY AS i(hash, source, id, event, digest, place)
ORDER BY i.hash, i.place
ON CONFLICT (foreign_id_hash) DO NOTHING
RETURNING event_id

-- name: same_content
-- Returns which of these records, whose identities are stored, have the stored content. A row of an
-- older release has no digest, so the payload of its event decides. If retention has removed the
-- event, an id with a source ($4) is trusted.
SELECT r.event
FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bool[], $5::uuid[])
    AS r(hash, digest, payload, believed, event)
JOIN bus.inbox i ON i.foreign_id_hash = r.hash
LEFT JOIN bus.event e ON i.digest IS NULL AND e.id = i.event_id
WHERE CASE WHEN i.digest IS NOT NULL THEN i.digest = r.digest
           WHEN e.id IS NULL THEN r.believed
           ELSE e.payload::jsonb = r.payload::jsonb END

-- name: park_unknown
-- Parks events of a type that this release does not know, until an operator unparks them.
INSERT INTO bus.parked (subscriber, key, event_id, until, attempts, reason, fingerprint,
                        error_class)
SELECT p.subscriber, p.key, p.event_id, 'infinity', 0, 'unknown_type', p.fingerprint, $5
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[])
    AS p(subscriber, key, event_id, fingerprint)
ON CONFLICT (subscriber, key) DO NOTHING
