-- The delivery audit: checks that each event has a delivery at each of its addressees. Only reads.
-- $1 and $2 bound the ids (and so the times) of events: the lower bound is inclusive, the upper is
-- exclusive. Events older than the retention limit may have been dropped and are not reported.

-- name: count
SELECT count(*) FROM bus.event WHERE id >= $1 AND id < $2

-- name: chunk
SELECT count(*) AS events, (array_agg(id ORDER BY id DESC))[1] AS last,
       min(pos) AS low, max(pos) AS high,
       count(*) FILTER (WHERE addressees IS NULL) AS unaddressed
FROM (
    SELECT id, pos, addressees FROM bus.event WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3
) AS c

-- name: delivery_states
-- $3 and $4 bound the positions of these events, $5 and $6 are addressees that a backfill added,
-- $7 is the retention limit. A replayed delivery may exist beside its receipt.
WITH chunk AS MATERIALIZED (
    SELECT id, addressees FROM bus.event WHERE id >= $1 AND id < $2
),
expected AS (
    SELECT c.id AS event_id, a.subscriber FROM chunk c, unnest(c.addressees) AS a(subscriber)
    UNION
    SELECT a.event_id, a.subscriber
    FROM unnest($5::uuid[], $6::text[]) AS a(event_id, subscriber) JOIN chunk c ON c.id = a.event_id
),
names AS (
    SELECT subscriber FROM bus.lease UNION SELECT subscriber FROM expected
),
places AS (
    SELECT d.subscriber, d.event_id, d.replay_id IS NULL AS counts,
           CASE WHEN p.event_id IS NULL OR p.until <= clock_timestamp() THEN 'pending'
                WHEN p.until = 'infinity' THEN 'parked' ELSE 'waiting' END AS pending,
           NULL AS dead, NULL AS outcome
    FROM names n
    JOIN bus.delivery d ON d.subscriber = n.subscriber AND d.pos >= $3 AND d.pos <= $4
    JOIN chunk c ON c.id = d.event_id
    LEFT JOIN bus.parked p ON p.subscriber = d.subscriber AND p.event_id = d.event_id
    UNION ALL
    SELECT subscriber, event_id, true, NULL, 'dead', NULL
    FROM bus.dead WHERE event_id >= $1 AND event_id < $2
    UNION ALL
    SELECT subscriber, event_id, true, NULL, NULL, outcome
    FROM bus.receipt WHERE event_id >= $1 AND event_id < $2
),
states AS (
    SELECT subscriber, event_id, count(*) FILTER (WHERE counts) AS places,
           coalesce(max(outcome), max(dead), max(pending)) AS state
    FROM places GROUP BY subscriber, event_id
),
checked AS (
    SELECT subscriber, event_id, f.state,
           CASE WHEN f.state IS NULL THEN 'lost'
                WHEN c.id IS NULL AND event_id >= $7 THEN 'event_deleted'
                WHEN f.places > 1 THEN 'doubled' END AS problem
    FROM states f
    FULL JOIN expected x USING (subscriber, event_id)
    LEFT JOIN chunk c ON c.id = event_id
)
SELECT subscriber, state, problem, count(*) AS count,
       CASE WHEN problem IS NOT NULL THEN array_agg(event_id ORDER BY event_id) END AS event_ids
FROM checked GROUP BY subscriber, state, problem ORDER BY subscriber, state, problem

-- name: backfills
-- The addressees that backfills added, and their events. An operator action is always younger than
-- the events that it adds deliveries of.
SELECT payload::jsonb -> 'deliveries' AS deliveries
FROM bus.event
WHERE key = $2 AND type = 'bus.outbox.backfilled' AND id >= $1
ORDER BY seq

-- name: orphans
-- Pending deliveries whose event is gone: they can never be completed. And keys that are parked at
-- an event that is not pending.
SELECT 'event_deleted' AS problem, d.subscriber, d.event_id, d.key
FROM bus.delivery d
WHERE d.event_id >= $1 AND d.event_id < $2
  AND NOT EXISTS (
      SELECT FROM bus.event e WHERE e.id = d.event_id AND e.id >= $1 AND e.id < $2)
UNION ALL
SELECT 'parked_for_nothing', p.subscriber, p.event_id, p.key
FROM bus.parked p
WHERE p.event_id >= $1 AND p.event_id < $2 AND p.until > clock_timestamp()
  AND NOT EXISTS (
      SELECT FROM bus.delivery d WHERE d.subscriber = p.subscriber AND d.event_id = p.event_id)

-- name: gaps
-- Gaps: sequence numbers of a key that no event has, between two existing ones. Numbers of events
-- outside the range are looked up, because ids and sequence numbers of two events that were created
-- at nearly the same time may have different orders.
WITH numbered AS (
    SELECT key, seq, id, lag(seq) OVER w AS seq_before, lag(id) OVER w AS id_before
    FROM bus.event
    WHERE id >= $1 AND id < $2 AND id >= $3 AND key IS NOT NULL
    WINDOW w AS (PARTITION BY key ORDER BY seq)
),
-- Materialised, with one look-up for each: a join would read the events of all days.
missing AS MATERIALIZED (
    SELECT n.key, n.id_before, n.id AS id_after, s.seq
    FROM numbered n, generate_series(n.seq_before + 1, n.seq - 1) AS s(seq)
    WHERE n.seq > n.seq_before + 1
)
SELECT m.key, min(m.seq) AS first, max(m.seq) AS last, m.id_before, m.id_after
FROM missing m
LEFT JOIN LATERAL (
    SELECT e.seq FROM bus.event e WHERE e.key = m.key AND e.seq = m.seq LIMIT 1
) AS found ON true
WHERE found.seq IS NULL
GROUP BY m.key, m.id_before, m.id_after
ORDER BY m.id_after

-- name: ends
-- Keys whose first or last event is gone, although it is too young to have been dropped. The stream
-- row has both ids, and so both times: an id is looked up in the partition of its day, a key and a
-- sequence number would have to be looked up in all partitions.
WITH first_gone AS MATERIALIZED (
    SELECT s.key, s.seq, s.first_id FROM bus.stream s
    WHERE s.first_id >= $1 AND s.first_id < $2 AND s.first_id >= $3
      AND NOT EXISTS (
          SELECT FROM bus.event e WHERE e.id = s.first_id AND e.id >= $1 AND e.id < $2)
),
last_gone AS MATERIALIZED (
    SELECT s.key, s.seq, s.first_id, s.last_id FROM bus.stream s
    WHERE s.last_id >= $1 AND s.last_id < $2 AND s.last_id >= $3
      AND NOT EXISTS (
          SELECT FROM bus.event e WHERE e.id = s.last_id AND e.id >= $1 AND e.id < $2)
)
SELECT g.key, 1 AS first, coalesce(least_left.seq - 1, g.seq) AS last, g.first_id AS id
FROM first_gone g LEFT JOIN LATERAL (
    SELECT e.seq FROM bus.event e WHERE e.key = g.key ORDER BY e.seq LIMIT 1
) AS least_left ON true
UNION ALL
SELECT g.key, coalesce(most_left.seq + 1, 1), g.seq, g.last_id
FROM last_gone g LEFT JOIN LATERAL (
    SELECT e.seq FROM bus.event e WHERE e.key = g.key ORDER BY e.seq DESC LIMIT 1
) AS most_left ON true
-- If no event is left, the first half has reported the key, if its first event was young enough.
WHERE most_left.seq IS NOT NULL
   OR NOT (g.first_id >= $1 AND g.first_id < $2 AND g.first_id >= $3)
ORDER BY id

-- name: unnumbered
-- Keys whose sequence counter is missing or behind: their next event would reuse a number.
SELECT e.key, max(e.seq) AS seq
FROM bus.event e LEFT JOIN bus.stream s ON s.key = e.key
WHERE e.id >= $1 AND e.id < $2 AND e.key IS NOT NULL AND (s.key IS NULL OR s.seq < e.seq)
GROUP BY e.key ORDER BY e.key
