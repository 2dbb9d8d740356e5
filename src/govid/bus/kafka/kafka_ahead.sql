-- How far Kafka may be, by what the database knows.

-- name: known_ends
-- The offset after the newest record of each partition for which there is a receipt among the
-- newest, or up to which an operator has accepted records that nobody knows here.
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

-- name: accept_ends
INSERT INTO bus.accepted_end AS e (topic, partition, "offset")
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE
SET "offset" = greatest(e."offset", excluded."offset"), accepted_at = clock_timestamp()
