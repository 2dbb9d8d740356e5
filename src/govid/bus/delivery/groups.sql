-- The statements that complete deliveries. Each comment names its race.

-- name: complete_delivery
-- The first statement of a handler's transaction. It checks the lease (fencing), writes the receipt
-- and completes the delivery, all or nothing. `fenced` 0: another replica owns the lease, so roll
-- back. `fresh` 0: the event was handled before, so commit without calling the handler. So it is if
-- the delivery is gone: an operator has discarded it, or a promoted standby never received it. There
-- its position may be that of another event by now.
-- FOR KEY SHARE lets the owner renew meanwhile, and blocks a claim until the commit (I4).
WITH fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND bucket = $2 AND owner = $3 AND epoch = $4
    FOR KEY SHARE
),
completed AS (
    DELETE FROM bus.delivery d USING fence
    WHERE d.subscriber = $1 AND d.pos = $6 AND d.event_id = $5
    RETURNING d.event_id
),
receipt AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome)
    SELECT $1, event_id, 'done' FROM completed
    ON CONFLICT DO NOTHING
    RETURNING event_id
),
unparked AS (
    DELETE FROM bus.parked p USING fence WHERE p.subscriber = $1 AND p.key = $7
)
SELECT (SELECT count(*) FROM fence) AS fenced, (SELECT count(*) FROM receipt) AS fresh

-- name: complete_group
-- The same for deliveries of several keys, all or nothing. `fenced` is false if another replica
-- owns one of the buckets; `fresh` lists the events that had not been handled before.
-- The fence reads row locks, not the snapshot: a claim that has committed is always seen.
WITH members AS (
    SELECT *
    FROM unnest($3::smallint[], $4::bigint[], $5::uuid[], $6::bigint[], $7::text[])
        AS m(bucket, epoch, event_id, pos, key)
),
fence AS (
    SELECT bucket FROM bus.lease
    WHERE subscriber = $1 AND owner = $2 AND (bucket, epoch) IN (SELECT bucket, epoch FROM members)
    FOR KEY SHARE
),
held AS (
    SELECT count(*) = (SELECT count(DISTINCT bucket) FROM members) AS all_of_them FROM fence
),
owned AS (
    SELECT m.* FROM members m, held WHERE held.all_of_them
),
-- Each row is looked up by the primary key, whatever number of rows the planner expects: the plan
-- is cached, and one made for an empty table would read the whole backlog. If an operator discards
-- a row meanwhile, the statement waits for its lock and then finds it gone. Rows of this table are
-- never updated, so a `ctid` that this statement sees names no other row.
completed AS (
    DELETE FROM bus.delivery d USING (
        SELECT x.ctid FROM owned o CROSS JOIN LATERAL (
            SELECT ctid FROM bus.delivery
            WHERE subscriber = $1 AND pos = o.pos AND event_id = o.event_id OFFSET 0) x
    ) AS found
    WHERE d.ctid = found.ctid
    RETURNING d.event_id
),
receipt AS (
    INSERT INTO bus.receipt (subscriber, event_id, outcome)
    SELECT $1, event_id, 'done' FROM completed
    ON CONFLICT DO NOTHING
    RETURNING event_id
),
unparked AS (
    DELETE FROM bus.parked p USING owned o WHERE p.subscriber = $1 AND p.key = o.key
)
SELECT all_of_them AS fenced, ARRAY(SELECT event_id FROM receipt) AS fresh FROM held
