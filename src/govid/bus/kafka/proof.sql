-- What the relay's receipts say about records in Kafka. $1 and $2 bound the ids of events.
-- Receipts from before $3 belong to an earlier life of a broker that forgets.

-- name: places
-- The partitions that were written to, by the topic's name in Kafka.
SELECT topic, partition, min("offset") FILTER (WHERE "offset" >= 0 AND handled_at >= $3) AS first,
       max("offset") FILTER (WHERE handled_at >= $3) AS last,
       count(*) FILTER (WHERE handled_at < $3) AS forgotten
FROM bus.receipt
WHERE subscriber = 'kafka.relay' AND topic IS NOT NULL AND event_id >= $1 AND event_id < $2
GROUP BY topic, partition

-- name: claims
SELECT event_id, "offset", handled_at
FROM bus.receipt
WHERE subscriber = 'kafka.relay' AND event_id >= $1 AND event_id < $2 AND handled_at >= $3
  AND topic = $4 AND partition = $5 AND "offset" >= 0
ORDER BY "offset"

-- name: claims_somewhere
-- Kafka acknowledged these as duplicates, and did not say where they stand.
SELECT event_id FROM bus.receipt
WHERE subscriber = 'kafka.relay' AND event_id >= $1 AND event_id < $2 AND handled_at >= $3
  AND topic = $4 AND partition = $5 AND "offset" < 0

-- name: claims_of_topic
SELECT event_id FROM bus.receipt
WHERE subscriber = 'kafka.relay' AND event_id >= $1 AND event_id < $2 AND handled_at >= $3
  AND topic = $4

-- name: accepted_ends
SELECT topic, partition, "offset" FROM bus.accepted_end

-- name: partitions
SELECT name, partitions FROM bus.topic
