-- The statements of the relay, the inbox and the topics.

-- name: remember_topics
-- The first sight of a topic counts; what is seen later is only compared with it.
-- The update changes nothing, but it returns the row: of two replicas that see a new topic at the
-- same time one waits for the other, and its snapshot is then too old to read what that has written.
-- Sorted, so that they cannot wait for each other.
INSERT INTO bus.topic AS t (name, partitions)
SELECT name, partitions FROM unnest($1::text[], $2::int[]) AS s(name, partitions) ORDER BY name
ON CONFLICT (name) DO UPDATE SET partitions = t.partitions
RETURNING name, partitions

-- name: follow_topics
-- For topics whose number of partitions does not matter: what they have now is what counts.
UPDATE bus.topic t SET partitions = s.partitions
FROM unnest($1::text[], $2::int[]) AS s(name, partitions)
WHERE t.name = s.name AND t.partitions <> s.partitions

-- name: topics
SELECT name, partitions,
       switching_to IS NOT NULL AND switching_until > clock_timestamp() AS switching
FROM bus.topic

-- name: topics_change
SELECT coalesce(max(change), 0) FROM bus.topic

-- name: topics_change_in_force
-- Says that nothing is under way any more which this replica began before the change.
UPDATE bus.replica SET topics_change = $2 WHERE id = $1

-- name: relay_still_owned
SELECT bucket FROM bus.lease
WHERE subscriber = $1 AND owner = $2
  AND (bucket, epoch) IN (SELECT * FROM unnest($3::smallint[], $4::bigint[]))

-- name: name_installation
-- The first server names the installation, once for all of its life.
INSERT INTO bus.installation (id) VALUES (left(replace(gen_random_uuid()::text, '-', ''), 16))
ON CONFLICT DO NOTHING

-- name: installation
SELECT id FROM bus.installation

-- name: relay_backlog
-- What is owed to Kafka in the owned buckets, oldest first, without what is being sent right now,
-- what is parked, and what belongs to topics that cannot be written to. Most reads begin above a
-- floor (floor.py). The events are fetched by their ids afterwards, as for every subscriber, and
-- one time counts for all rows, as there.
SELECT d.pos, d.bucket, d.event_id, d.key, d.replay_id,
       (SELECT coalesce(max(seq), 0) FROM bus.stream WHERE key = 'operator/outbox') AS acts,
       (SELECT coalesce(max(change), 0) FROM bus.topic) AS topics_change
FROM bus.delivery d
WHERE d.subscriber = $1
  AND d.bucket = ANY($2::smallint[])
  AND d.pos > $6
  AND d.pos NOT IN (SELECT unnest($3::bigint[]))
  AND (d.key IS NULL OR d.key NOT IN (SELECT unnest($7::text[])))
  AND NOT EXISTS (
      SELECT FROM bus.parked p
      WHERE p.subscriber = d.subscriber AND p.key = coalesce(d.key, '@' || d.event_id)
        AND p.until > statement_timestamp())
  AND (cardinality($4::text[]) = 0 OR NOT EXISTS (
      SELECT FROM bus.event e WHERE e.id = d.event_id AND e.topic = ANY($4::text[])))
ORDER BY d.pos
LIMIT $5

-- name: relay_events
SELECT id, type, version, topic, seq, record_key,
       payload::text AS payload, headers::text AS headers, occurred_at
FROM bus.event WHERE id = ANY($1::uuid[]) AND id >= $2 AND id <= $3

-- name: relay_complete
-- Notes where each acknowledged record stands and strikes its debt off, all or nothing: if one of
-- the buckets is another replica's by now, nothing is written, and that replica sends again.
-- The fence reads row locks, not the snapshot: a take-over that has committed is always seen.
-- A replayed event keeps its first receipt.
WITH fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND owner = $2
      AND (bucket, epoch) IN (SELECT * FROM unnest($3::smallint[], $4::bigint[]))
    FOR KEY SHARE
),
held AS (
    SELECT count(*) = cardinality($3::smallint[]) AS all_of_them FROM fence
),
acked AS (
    SELECT a.*
    FROM unnest($5::bigint[], $6::uuid[], $7::text[], $8::int[], $9::bigint[])
        AS a(pos, event_id, topic, partition, "offset"), held
    WHERE held.all_of_them
),
-- By primary key and `ctid`, as in `take_group`.
struck AS (
    DELETE FROM bus.delivery d USING (
        SELECT x.ctid FROM acked a CROSS JOIN LATERAL (
            SELECT ctid FROM bus.delivery WHERE subscriber = $1 AND pos = a.pos OFFSET 0) x
    ) AS found
    WHERE d.ctid = found.ctid
),
unparked AS (
    DELETE FROM bus.parked p USING acked a WHERE p.subscriber = $1 AND p.event_id = a.event_id
),
receipts AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome, topic, partition, "offset")
    SELECT $1, a.event_id, 'done', a.topic, a.partition, a."offset" FROM acked a
    ON CONFLICT DO NOTHING
)
SELECT all_of_them FROM held

-- name: known_events
SELECT id FROM bus.event WHERE id = ANY($1::uuid[]) AND id >= $2 AND id <= $3

-- name: echoes
-- Which of these records are govid's own: their event has this id, topic and payload.
SELECT e.id
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS r(id, topic, value)
JOIN bus.event e ON e.id = r.id AND e.topic = r.topic AND e.payload::text = r.value

-- name: inbox_take
-- Returns what has never come in before. Of two replicas that take the same id at the same time
-- one waits for the other here, and then gets nothing. Of one id twice in a batch the first counts:
-- the second may stand behind later records of its key.
INSERT INTO bus.inbox (foreign_id_hash, source, foreign_id, event_id, digest)
SELECT i.hash, i.source, i.id, i.event, i.digest
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::uuid[], $5::bytea[])
    WITH ORDINALITY AS i(hash, source, id, event, digest, place)
ORDER BY i.hash, i.place
ON CONFLICT (foreign_id_hash) DO NOTHING
RETURNING event_id

-- name: inbox_same
-- Which of these records, whose identities are taken, are the ones that came in before. A row of an
-- older release has no digest: there the stored event's payload decides. Where retention has
-- removed the event, a claim of a source ($4) is believed.
SELECT r.event
FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bool[], $5::uuid[])
    AS r(hash, digest, payload, believed, event)
JOIN bus.inbox i ON i.foreign_id_hash = r.hash
LEFT JOIN bus.event e ON i.digest IS NULL AND e.id = i.event_id
WHERE CASE WHEN i.digest IS NOT NULL THEN i.digest = r.digest
           WHEN e.id IS NULL THEN r.believed
           ELSE e.payload::jsonb = r.payload::jsonb END

-- name: park_unknown
-- Sets events aside that this release does not know; another release may, once it is unparked.
INSERT INTO bus.parked (subscriber, key, event_id, until, attempts, reason, fingerprint,
                        error_class)
SELECT p.subscriber, p.key, p.event_id, 'infinity', 0, 'unknown_type', p.fingerprint, $5
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[])
    AS p(subscriber, key, event_id, fingerprint)
ON CONFLICT (subscriber, key) DO NOTHING

-- name: report_inbound_fault
INSERT INTO bus.inbound_fault AS f (topic, partition, first_offset, next_offset, kind, reason)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (topic, partition, first_offset) DO UPDATE
SET next_offset = CASE WHEN f.accepted_at IS NULL THEN excluded.next_offset ELSE f.next_offset END,
    kind = excluded.kind, reason = excluded.reason

-- name: accepted_inbound_fault
SELECT next_offset FROM bus.inbound_fault
WHERE topic = $1 AND partition = $2 AND first_offset = $3 AND accepted_at IS NOT NULL

-- name: settle_inbound_faults
-- Tells whether others are left.
WITH passed AS (
    DELETE FROM bus.inbound_fault WHERE topic = $1 AND partition = $2 AND first_offset < $3
)
SELECT EXISTS (
    SELECT FROM bus.inbound_fault WHERE topic = $1 AND partition = $2 AND first_offset >= $3
)

-- name: withdraw_inbound_faults
DELETE FROM bus.inbound_fault WHERE topic = $1 AND partition = $2 AND first_offset >= $3

-- name: inbound_faults
SELECT topic, partition, first_offset, next_offset, kind, reason, found_at, accepted_at
FROM bus.inbound_fault ORDER BY topic, partition, first_offset

-- name: accept_inbound_fault
-- Of two operators one finds it accepted already, and nothing to do.
UPDATE bus.inbound_fault SET accepted_at = clock_timestamp()
WHERE topic = $1 AND partition = $2 AND first_offset = $3 AND accepted_at IS NULL
RETURNING topic, partition, first_offset, next_offset, kind, reason, found_at, accepted_at
