-- What an operator accepts about topics.

-- name: lock_topics
LOCK TABLE bus.topic IN SHARE ROW EXCLUSIVE MODE

-- name: begin_switch
-- No row comes back if another operator's switch of the topic is in force.
UPDATE bus.topic t
SET switching_to = $2, switching_until = clock_timestamp() + make_interval(secs => $3),
    change = (SELECT max(change) + 1 FROM bus.topic)
WHERE t.name = $1 AND (t.switching_until IS NULL OR t.switching_until < clock_timestamp())
RETURNING change

-- name: end_switch
UPDATE bus.topic
SET switching_to = NULL, switching_until = NULL, change = (SELECT max(change) + 1 FROM bus.topic)
WHERE name = $1 AND change = $2

-- name: replicas_behind
-- Live replicas that own buckets of the relay and may still publish what they read before the
-- change. A replica whose heartbeat has expired has no lease either.
SELECT count(*) FROM bus.replica r
WHERE r.until > clock_timestamp() AND (r.topics_change IS NULL OR r.topics_change < $2)
  AND EXISTS (SELECT FROM bus.lease l WHERE l.subscriber = $1 AND l.owner = r.id)

-- name: topic
SELECT partitions, switching_to, switching_until > clock_timestamp() AS switching
FROM bus.topic WHERE name = $1

-- name: fence_relay
-- A replica that did not adopt the change, for example a frozen one, can complete nothing any more.
WITH held AS (
    SELECT subscriber, bucket, owner FROM bus.lease WHERE subscriber = $1 ORDER BY bucket FOR UPDATE
)
UPDATE bus.lease l SET epoch = l.epoch + 1
FROM held h
WHERE l.subscriber = h.subscriber AND l.bucket = h.bucket AND h.owner IS NOT NULL
  AND NOT EXISTS (SELECT FROM bus.replica r WHERE r.id = h.owner AND r.topics_change >= $2)
RETURNING l.bucket

-- name: switch
UPDATE bus.topic
SET partitions = $2, switching_to = NULL, switching_until = NULL,
    change = (SELECT max(change) + 1 FROM bus.topic)
WHERE name = $1

-- name: topics
SELECT name, partitions,
       switching_to IS NOT NULL AND switching_until > clock_timestamp() AS switching
FROM bus.topic ORDER BY name

-- name: accept_gap
UPDATE bus.inbox_gap SET accepted_at = clock_timestamp()
WHERE topic = $1 AND partition = $2 AND first = $3 AND accepted_at IS NULL
RETURNING next

-- name: accept_ends
INSERT INTO bus.accepted_end AS e (topic, partition, "offset")
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE
SET "offset" = greatest(e."offset", excluded."offset"), accepted_at = clock_timestamp()
