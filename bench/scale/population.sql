-- Rows shaped like real ones: five events an account, spread over the kept days, each handled.

-- name: prepare
CREATE FUNCTION pg_temp.uuid7_at(moment timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
            || '7' || substr(md5(random()::text), 1, 3)
            || '8' || substr(md5(random()::text), 1, 15))::uuid
$$

-- name: accounts
CREATE TEMPORARY TABLE person AS
SELECT n, gen_random_uuid() AS id,
       clock_timestamp() - make_interval(secs => 7200 + 86400 * 89.0 * (1 - n::float8 / $1)) AS at
FROM generate_series(1, $1::int) n

-- name: store_accounts
INSERT INTO identity.account (id, email, email_canonical, password_hash, identifier_type,
                              identifier_value, status, created_at, updated_at)
SELECT id, 'p' || n || '@example.org', 'p' || n || '@example.org', 'no hash', 'NIN',
       'AB' || lpad((n % 1000000)::text, 6, '0') || chr((65 + n / 1000000)::int), 'verified', at, at
FROM person

-- name: store_sessions
INSERT INTO identity.session (id, account_id, client_id, acr, auth_time, created_at,
                              absolute_expires_at, revoked_at, revoked_reason)
SELECT pg_temp.uuid7_at(at), id, 'govid', 'pwd', at, at, at + interval '30 days',
       CASE WHEN n % 3 > 0 THEN at + interval '1 hour' END,
       CASE WHEN n % 3 > 0 THEN 'logged_out' END
FROM person

-- name: events
CREATE TEMPORARY TABLE happened AS
SELECT pg_temp.uuid7_at(at + make_interval(secs => step.place)) AS id, at, p.id AS account_id,
       step.*, step.stream || '/' || p.id AS key
FROM person p, (VALUES
    (1, 'identity.account.registered', 'account', 1, NULL, '{}'::text[]),
    (2, 'identity.verification.requested', 'verification', 1,
     'identity.verification.request', '{hmrc.verification,kafka.relay}'),
    (3, 'hmrc.verification.completed', 'verification', 2,
     'identity.verification.result', '{identity.verification,kafka.relay}'),
    (4, 'identity.account.verified', 'account', 2, NULL, '{}'),
    (5, 'identity.session.created', 'session', 1, NULL, '{}')
) AS step (place, type, stream, seq, topic, addressees)

-- name: store_events
INSERT INTO bus.event (id, pos, type, version, topic, key, seq, record_key, payload, headers,
                       occurred_at, stored_at, addressees)
SELECT id, nextval('bus.event_position'), type, 1, topic, key, seq, account_id::text,
       json_build_object('accountId', account_id, 'identifierType', 'NIN', 'timestamp', at),
       jsonb_build_object('correlation_id', id, 'actor', jsonb_build_object('kind', 'module')),
       at, at, addressees
FROM (SELECT * FROM happened ORDER BY id) AS ordered

-- name: store_streams
INSERT INTO bus.stream (key, seq, first_id, last_id)
SELECT key, max(seq), (array_agg(id ORDER BY seq))[1], (array_agg(id ORDER BY seq DESC))[1]
FROM happened GROUP BY key

-- name: store_receipts
INSERT INTO bus.receipt (subscriber, event_id, outcome, topic, partition, "offset", handled_at)
SELECT s, id, 'done', CASE WHEN s = 'kafka.relay' THEN topic END,
       CASE WHEN s = 'kafka.relay' THEN n % 4 END, CASE WHEN s = 'kafka.relay' THEN n END,
       at + interval '1 second'
FROM (SELECT h.*, row_number() OVER (ORDER BY id) AS n FROM happened h) AS h, unnest(addressees) s
ORDER BY id

-- name: store_pending
-- So many events after all others wait for the relay: what an outage of Kafka leaves behind.
WITH stored AS (
    INSERT INTO bus.event (id, type, version, topic, key, seq, record_key, payload, headers,
                           occurred_at, addressees)
    SELECT pg_temp.uuid7_at(clock_timestamp()), 'identity.verification.requested', 1,
           'identity.verification.request', 'verification/' || account, 1, account,
           json_build_object('accountId', account), '{"correlation_id": "scale"}'::jsonb,
           clock_timestamp(), '{kafka.relay}'
    FROM (SELECT gen_random_uuid()::text AS account FROM generate_series(1, $1::int)) AS late
    RETURNING id, pos, key
),
numbered AS (
    INSERT INTO bus.stream (key, seq, first_id, last_id) SELECT key, 1, id, id FROM stored
)
INSERT INTO bus.delivery (subscriber, pos, bucket, event_id, key)
SELECT 'kafka.relay', pos, pos % 64, id, key FROM stored

-- name: store_leases
INSERT INTO bus.lease (subscriber, bucket)
SELECT s, b FROM unnest('{hmrc.verification,identity.verification,kafka.relay}'::text[]) s,
       generate_series(0, 63) b
ON CONFLICT DO NOTHING
