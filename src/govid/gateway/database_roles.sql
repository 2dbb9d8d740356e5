-- The statements of database roles. `{owner}` and the like are replaced by the names of the roles,
-- which need no quotes. The rows of the first six are statements that are still missing.

-- name: create_roles
SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM unnest(ARRAY['{owner}', '{application}', '{purge}', '{auditor}']) AS name
WHERE to_regrole(name) IS NULL

-- name: grant_owner
-- To the role that migrates, and to those that have owned something so far: a server that runs with
-- such a role must not lose its tables.
WITH owner AS (
    SELECT nspowner AS oid FROM pg_namespace
    WHERE nspname IN ('audit', 'bus', 'identity', 'nhs', 'hmrc')
    UNION
    SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname IN ('audit', 'bus', 'identity', 'nhs', 'hmrc')
)
SELECT format('GRANT {owner} TO %I', r.rolname) FROM pg_roles r
WHERE NOT r.rolsuper AND r.rolname <> '{owner}'
    AND (r.rolname = current_user OR r.oid IN (SELECT oid FROM owner))
    AND NOT coalesce(pg_has_role(r.oid, to_regrole('{owner}')::oid, 'USAGE'), false)
ORDER BY 1

-- name: grant_purge
SELECT 'GRANT {purge} TO {application}'
WHERE NOT coalesce(
    pg_has_role(to_regrole('{application}')::oid, to_regrole('{purge}')::oid, 'MEMBER'), false
)

-- name: grant_database
SELECT format('GRANT CONNECT, CREATE ON DATABASE %I TO {owner}', current_database())
WHERE NOT coalesce(
    has_database_privilege(to_regrole('{owner}')::oid, current_database(), 'CREATE'), false
)
UNION ALL
SELECT format('GRANT CONNECT ON DATABASE %I TO {application}, {purge}, {auditor}', d.datname)
FROM pg_database d
WHERE d.datname = current_database() AND NOT EXISTS (
    SELECT FROM aclexplode(d.datacl) a
    WHERE a.privilege_type = 'CONNECT' AND a.grantee = to_regrole('{application}')::oid
)

-- name: grant_public
-- Of schema public the owner needs the table of the version.
SELECT 'GRANT CREATE, USAGE ON SCHEMA public TO {owner}'
WHERE NOT coalesce(has_schema_privilege(to_regrole('{owner}')::oid, 'public', 'CREATE'), false)

-- name: change_owner
WITH object AS (
    SELECT 1 AS rank, 'SCHEMA' AS kind, quote_ident(nspname) AS name, nspowner AS owner
    FROM pg_namespace WHERE nspname IN ('audit', 'bus', 'identity', 'nhs', 'hmrc')
    UNION ALL
    SELECT 2, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
           format('%I.%I', n.nspname, c.relname), c.relowner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'S') AND (
        n.nspname IN ('audit', 'bus', 'identity', 'nhs', 'hmrc')
        OR n.nspname = 'public' AND c.relname = 'govid_version'
    )
    UNION ALL
    SELECT 3, 'FUNCTION',
           format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
           p.proowner
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('audit', 'bus', 'identity', 'nhs', 'hmrc')
)
SELECT format('ALTER %s %s OWNER TO {owner}', kind, name) FROM object
WHERE owner IS DISTINCT FROM to_regrole('{owner}')::oid
ORDER BY rank, name

-- name: grant_tables
-- Privileges on every table that is no partition. A partition is reached through its table, so a new
-- one needs no privilege.
DO $$ BEGIN
    EXECUTE (
        SELECT format('GRANT SELECT, INSERT ON %s TO {application}',
                      string_agg(format('%I.%I', n.nspname, c.relname), ', '))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('audit', 'bus', 'identity', 'nhs', 'hmrc')
            AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    );
    EXECUTE (
        SELECT format('GRANT SELECT ON %s TO {auditor}',
                      string_agg(format('%I.%I', n.nspname, c.relname), ', '))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('audit', 'bus')
            AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    );
END $$

-- name: owner
SELECT r.rolname FROM pg_catalog.pg_namespace n
JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'bus'

-- name: present
SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = ANY($1::text[])

-- name: owns_elsewhere
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_shdepend d
    JOIN pg_catalog.pg_database b ON b.oid = d.dbid AND b.datname <> current_database()
    WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = to_regrole($1)
)
