-- How far Kafka may be ahead, according to the database.

-- name: known_events
SELECT id FROM bus.event WHERE id = ANY($1::uuid[]) AND id >= $2 AND id <= $3

-- name: known_ends
-- The offset after the newest record of each partition for which there is a receipt among the
-- newest, or up to which an operator has accepted records that this database does not know.
SELECT topic, partition, max(next) AS next
FROM (
    (SELECT topic, partition, "offset" + 1 AS next
     FROM bus.receipt
     WHERE subscriber = 'kafka.relay' AND topic IS NOT NULL
     ORDER BY event_id DESC
     LIMIT 20000)
    UNION ALL
    SELECT topic, partition, "offset" FROM bus.accepted_end
) known
GROUP BY topic, partition
