-- What the database knows of the topics, and the name of this installation.

-- name: remember_topics
-- The first sight of a topic counts; what is seen later is only compared with it.
-- The update changes nothing, but it returns the row: of two replicas that see a new topic at the
-- same time one waits for the other, and its snapshot is then too old to read what that has written.
-- Sorted, so that they cannot wait for each other.
INSERT INTO bus.topic AS t (name, partitions)
SELECT name, partitions FROM unnest($1::text[], $2::int[]) AS s(name, partitions) ORDER BY name
ON CONFLICT (name) DO UPDATE SET partitions = t.partitions
RETURNING name, partitions

-- name: follow_topics
-- For topics whose number of partitions does not matter: what they have now is what counts.
UPDATE bus.topic t SET partitions = s.partitions
FROM unnest($1::text[], $2::int[]) AS s(name, partitions)
WHERE t.name = s.name AND t.partitions <> s.partitions

-- name: topics
SELECT name, partitions,
       switching_to IS NOT NULL AND switching_until > clock_timestamp() AS switching
FROM bus.topic

-- name: name_installation
-- The first server names the installation, once for all of its life.
INSERT INTO bus.installation (id) VALUES (left(replace(gen_random_uuid()::text, '-', ''), 16))
ON CONFLICT DO NOTHING

-- name: installation
SELECT id FROM bus.installation
