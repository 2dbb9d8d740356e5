-- What the database knows of the topics, and the name of this installation.

-- name: store_topics
-- The first number of a topic is stored; later ones are only compared with it.
-- The update changes nothing, but it returns the row: of two replicas that see a new topic at the
-- same time one waits for the other, and its snapshot is then too old to read the new row.
-- Sorted, so that they cannot deadlock.
INSERT INTO bus.topic AS t (name, partitions)
SELECT name, partitions FROM unnest($1::text[], $2::int[]) AS s(name, partitions) ORDER BY name
ON CONFLICT (name) DO UPDATE SET partitions = t.partitions
RETURNING name, partitions

-- name: update_topics
-- For topics whose number of partitions does not matter: stores the current number.
UPDATE bus.topic t SET partitions = s.partitions
FROM unnest($1::text[], $2::int[]) AS s(name, partitions)
WHERE t.name = s.name AND t.partitions <> s.partitions

-- name: topics
SELECT name, partitions,
       switching_to IS NOT NULL AND switching_until > clock_timestamp() AS switching
FROM bus.topic

-- name: name_installation
-- The first server creates the id of the installation, which never changes.
INSERT INTO bus.installation (id) VALUES (left(replace(gen_random_uuid()::text, '-', ''), 16))
ON CONFLICT DO NOTHING

-- name: installation
SELECT id FROM bus.installation
