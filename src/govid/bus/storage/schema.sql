-- name: schema
-- Schema `bus` in lines; of its functions those that run with the rights of their owner. Of the partitions only the existence of the default ones is included: the
-- others are created and dropped daily.
WITH relation AS (
    SELECT c.oid, c.relname AS name, c.relkind AS kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'bus'
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
)
SELECT line FROM (
    SELECT concat_ws(' ', 'table', name, pg_get_partkeydef(oid)) AS line FROM relation
    UNION ALL
    SELECT format('default %s %s', r.name, c.relname)
    FROM relation r JOIN pg_inherits i ON i.inhparent = r.oid JOIN pg_class c ON c.oid = i.inhrelid
    WHERE pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
    UNION ALL
    SELECT concat_ws(' ', format('column %s.%s', r.name, a.attname),
                     format_type(a.atttypid, a.atttypmod),
                     CASE WHEN a.attnotnull THEN 'not null' END,
                     'default ' || pg_get_expr(d.adbin, d.adrelid))
    FROM relation r
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    UNION ALL
    -- From version 18 on PostgreSQL lists NOT NULL as constraints; the column lines include it.
    SELECT format('constraint %s.%s %s', r.name, k.conname, pg_get_constraintdef(k.oid))
    FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype NOT IN ('n', 't')
    UNION ALL
    SELECT format('index %s.%s %s', r.name, c.relname, pg_get_indexdef(x.indexrelid))
    FROM relation r JOIN pg_index x ON x.indrelid = r.oid AND x.indisvalid
    JOIN pg_class c ON c.oid = x.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid)
    UNION ALL
    SELECT format('trigger %s.%s %s', r.name, t.tgname, pg_get_triggerdef(t.oid))
    FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
        AND t.tgenabled = 'O'
    UNION ALL
    -- Their bodies are not compared, so that a later release may correct one.
    SELECT format('function %s(%s) %s', p.proname, pg_get_function_identity_arguments(p.oid),
                  array_to_string(p.proconfig, '; '))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'bus'
    WHERE p.prosecdef
) AS lines ORDER BY line COLLATE "C"
