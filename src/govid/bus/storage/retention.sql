-- The statements of retention. All run on its own connection. Functions of the tables' owner do what
-- needs ownership, and refuse what retention may not do (migration 0028, ADR-0039).

-- name: partitions
-- Every partition of a table of the bus, with its bounds as PostgreSQL writes them.
SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = ('bus.' || $1::text)::regclass

-- name: removable_until
SELECT bus.removable_until($1)

-- name: attach_day
SELECT bus.attach_day($1, $2, $3)

-- name: exclude_day
SELECT bus.exclude_day($1, $2)

-- name: validate_exclusion
SELECT bus.validate_exclusion($1)

-- name: end_exclusion
SELECT bus.end_exclusion($1)

-- name: is_range_needed
SELECT bus.is_range_needed($1, $2, $3)

-- name: drop_day
SELECT bus.drop_day($1, $2)

-- name: empty_default
SELECT bus.empty_default($1, $2)

-- name: delete_aged
SELECT bus.delete_aged($1, $2, $3)
