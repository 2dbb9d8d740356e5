-- Pending deliveries: found, counted and estimated without reading all of them.

-- name: subscribers
-- Every subscriber that has buckets or is owed something; by index, however much is owed.
WITH RECURSIVE owed AS (
    (SELECT subscriber FROM bus.delivery ORDER BY subscriber LIMIT 1)
    UNION ALL
    SELECT (SELECT d.subscriber FROM bus.delivery d WHERE d.subscriber > o.subscriber
            ORDER BY d.subscriber LIMIT 1)
    FROM owed o WHERE o.subscriber IS NOT NULL
)
SELECT subscriber FROM bus.lease
UNION SELECT subscriber FROM owed WHERE subscriber IS NOT NULL
UNION SELECT subscriber FROM bus.parked
UNION SELECT subscriber FROM bus.dead
ORDER BY 1

-- name: counts
-- Up to $2 of each of the subscribers $1 are counted, and one more, which says that there are more.
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
