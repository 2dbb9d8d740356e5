-- Pending deliveries: found, counted and estimated without reading all of them.

-- name: subscribers
-- Every subscriber with buckets or deliveries; by index, however many deliveries are pending.
WITH RECURSIVE pending AS (
    (SELECT subscriber FROM bus.delivery ORDER BY subscriber LIMIT 1)
    UNION ALL
    SELECT (SELECT d.subscriber FROM bus.delivery d WHERE d.subscriber > p.subscriber
            ORDER BY d.subscriber LIMIT 1)
    FROM pending p WHERE p.subscriber IS NOT NULL
)
SELECT subscriber FROM bus.lease
UNION SELECT subscriber FROM pending WHERE subscriber IS NOT NULL
UNION SELECT subscriber FROM bus.parked
UNION SELECT subscriber FROM bus.dead
ORDER BY 1

-- name: counts
-- Counts up to $2 deliveries of each of the subscribers $1, and one more, to show that more exist.
SELECT s.subscriber, count(d.pos) AS pending
FROM unnest($1::text[]) AS s(subscriber)
LEFT JOIN LATERAL (
    SELECT pos FROM bus.delivery WHERE subscriber = s.subscriber LIMIT $2::bigint + 1
) d ON true
GROUP BY s.subscriber

-- name: oldest
SELECT s.subscriber, d.event_id
FROM unnest($1::text[]) AS s(subscriber)
CROSS JOIN LATERAL (
    SELECT event_id FROM bus.delivery WHERE subscriber = s.subscriber ORDER BY pos LIMIT 1
) d

-- name: pages
SELECT pg_relation_size('bus.delivery') / current_setting('block_size')::bigint

-- name: sample
-- $1 percent of the table's pages, chosen at random.
SELECT subscriber, count(*) AS pending
FROM bus.delivery TABLESAMPLE SYSTEM ($1::real) GROUP BY subscriber
