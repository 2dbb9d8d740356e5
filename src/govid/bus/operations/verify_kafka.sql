-- Receipts of the relay about records in Kafka. $1 and $2 bound the ids of events. Receipts from
-- before $3 are of an in-memory broker that was restarted.

-- name: written_partitions
-- The partitions that were written to, with topics named as in Kafka.
SELECT topic, partition, min("offset") FILTER (WHERE "offset" >= 0 AND handled_at >= $3) AS first,
       max("offset") FILTER (WHERE handled_at >= $3) AS last,
       count(*) FILTER (WHERE handled_at < $3) AS forgotten
FROM bus.receipt
WHERE subscriber = 'kafka.relay' AND topic IS NOT NULL AND event_id >= $1 AND event_id < $2
GROUP BY topic, partition

-- name: receipts
SELECT event_id, "offset", handled_at
FROM bus.receipt
WHERE subscriber = 'kafka.relay' AND event_id >= $1 AND event_id < $2 AND handled_at >= $3
  AND topic = $4 AND partition = $5 AND "offset" >= 0
ORDER BY "offset"

-- name: receipts_without_offset
-- Kafka acknowledged these as duplicates, without their offset.
SELECT event_id FROM bus.receipt
WHERE subscriber = 'kafka.relay' AND event_id >= $1 AND event_id < $2 AND handled_at >= $3
  AND topic = $4 AND partition = $5 AND "offset" < 0

-- name: receipts_of_topic
SELECT event_id FROM bus.receipt
WHERE subscriber = 'kafka.relay' AND event_id >= $1 AND event_id < $2 AND handled_at >= $3
  AND topic = $4

-- name: accepted_ends
SELECT topic, partition, "offset" FROM bus.accepted_end

-- name: partitions
SELECT name, partitions FROM bus.topic
