"""Let retention run without ownership of the tables: functions of the owner do what it may do.

Revision ID: 0028
"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None
compatible_from = 27

# The caller can influence neither the names nor how long a lock is waited for (ADR-0039). It
# replaces the word `DEFINER` below.
DEFINER = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'"

# Not in schema `public`, which belongs to the owner of the database: that role could put a view in
# the place of a table there, whose functions would then run as the owner of the bus.
RETENTION = (
    """
    CREATE TABLE bus.retention (
        is_own boolean NOT NULL DEFAULT true,
        kept_for interval NOT NULL,
        CONSTRAINT retention_pkey PRIMARY KEY (is_own),
        CONSTRAINT retention_is_one CHECK (is_own)
    )
    """,
    "INSERT INTO bus.retention (kept_for) VALUES ('90 days')",
)

HELPERS = (
    # What is older may be removed. Of the given time and the stored retention the earlier counts.
    """
    CREATE FUNCTION bus.removable_until(wanted timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE DEFINER AS $$
        SELECT least(wanted, coalesce((SELECT now() - max(kept_for) FROM bus.retention),
                                      '-infinity'))
    $$
    """,
    # The lowest version 7 UUID of a moment: a boundary between partitions.
    """
    CREATE FUNCTION bus.first_id_at(moment timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
        SELECT (lpad(to_hex(greatest(0, floor(extract(epoch FROM moment) * 1000))::bigint), 12, '0')
                || '70008000000000000000')::uuid
    $$
    """,
    # With an older snapshot the checks would not see what others have committed since, but TRUNCATE
    # and DROP would remove it.
    """
    CREATE FUNCTION bus.require_read_committed() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE invalid_transaction_state USING MESSAGE = 'retention needs READ COMMITTED';
        END IF;
    END $$
    """,
    """
    CREATE FUNCTION bus.id_column_of(parent text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        CASE parent
            WHEN 'event' THEN RETURN 'id';
            WHEN 'receipt' THEN RETURN 'event_id';
            ELSE RAISE invalid_parameter_value
                USING MESSAGE = 'not a partitioned table of the bus';
        END CASE;
    END $$
    """,
)

# Whether events of a range of ids have pending deliveries or dead letters. Pending deliveries are
# found by index, by the positions of these events: no index begins with their ids.
EVENT_NEEDED = """
    CREATE FUNCTION bus.is_event_range_needed(uuid, uuid) RETURNS boolean
    LANGUAGE sql DEFINER AS $$
WITH RECURSIVE pending AS (
    (SELECT subscriber FROM bus.delivery ORDER BY subscriber LIMIT 1)
    UNION ALL
    SELECT (SELECT d.subscriber FROM bus.delivery d WHERE d.subscriber > p.subscriber
            ORDER BY d.subscriber LIMIT 1)
    FROM pending p WHERE p.subscriber IS NOT NULL
),
bounds AS MATERIALIZED (
    SELECT min(pos) AS low, max(pos) AS high FROM bus.event WHERE id >= $1 AND id < $2
)
SELECT EXISTS (
        SELECT FROM bounds b CROSS JOIN pending p CROSS JOIN LATERAL (
            SELECT FROM bus.delivery d
            WHERE d.subscriber = p.subscriber AND d.pos >= b.low AND d.pos <= b.high
            LIMIT 1
        ) AS delivery
    )
    OR EXISTS (SELECT FROM bus.dead WHERE event_id >= $1 AND event_id < $2)
    $$
"""

# Without its receipt an event that still exists would look lost, and a replay would handle it
# again.
RECEIPT_NEEDED = """
    CREATE FUNCTION bus.is_receipt_range_needed(uuid, uuid) RETURNS boolean
    LANGUAGE sql DEFINER AS $$
SELECT EXISTS (SELECT FROM bus.event WHERE id >= $1 AND id < $2)
    $$
"""

IS_RANGE_NEEDED = """
    CREATE FUNCTION bus.is_range_needed(parent text, lower_id uuid, upper_id uuid) RETURNS boolean
    LANGUAGE plpgsql DEFINER AS $$
    BEGIN
        PERFORM bus.id_column_of(parent);
        IF parent = 'event' THEN
            RETURN bus.is_event_range_needed(lower_id, upper_id);
        END IF;
        RETURN bus.is_receipt_range_needed(lower_id, upper_id);
    END $$
"""

# Returns `present`, `added`, `occupied` (the default partition has rows of that day, or is being
# written) or `unproved` (it has rows of other days, so `exclude_day` has to prove that first).
ATTACH_DAY = """
    CREATE FUNCTION bus.attach_day(parent text, day date, is_current boolean) RETURNS text
    LANGUAGE plpgsql DEFINER AS $$
    DECLARE
        id_column text := bus.id_column_of(parent);
        rest text := parent || '_default';
        child text := parent || '_' || to_char(day, 'YYYYMMDD');
        today date := (now() AT TIME ZONE 'UTC')::date;
        lower_id uuid := bus.first_id_at(day::timestamp AT TIME ZONE 'UTC');
        upper_id uuid := bus.first_id_at((day + 1)::timestamp AT TIME ZONE 'UTC');
        is_found boolean;
    BEGIN
        PERFORM bus.require_read_committed();
        -- A caller could otherwise add so many partitions that every statement slows down.
        IF day NOT BETWEEN today - 366 AND today + 31 THEN
            RAISE invalid_parameter_value USING MESSAGE = 'the day is too far away';
        END IF;
        IF EXISTS (
            SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = ('bus.' || parent)::regclass AND c.relname = child
        ) THEN
            RETURN 'present';
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM bus.%I)', rest) INTO is_found;
        IF is_found THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM bus.%I WHERE %I >= $1 AND %I < $2)',
                           rest, id_column, id_column) INTO is_found USING lower_id, upper_id;
            IF is_found OR is_current OR day <= today THEN
                RETURN 'occupied';
            END IF;
            IF NOT EXISTS (
                SELECT FROM pg_constraint
                WHERE conrelid = ('bus.' || rest)::regclass AND conname = parent || '_outside'
                    AND convalidated
            ) THEN
                RETURN 'unproved';
            END IF;
        END IF;
        IF is_current THEN
            -- A transaction that has routed a row to the default partition must have stored it.
            EXECUTE format('LOCK TABLE bus.%I IN SHARE ROW EXCLUSIVE MODE', parent);
        END IF;
        EXECUTE format('CREATE TABLE bus.%I (LIKE bus.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)'
                       ' WITH (autovacuum_vacuum_insert_scale_factor = 0.05,'
                       ' autovacuum_analyze_scale_factor = 0.02)', child, parent);
        IF parent = 'event' THEN
            -- As in migration 0026: a trigger of the parent does not guard a day by itself.
            EXECUTE format('CREATE TRIGGER event_is_not_truncated BEFORE TRUNCATE ON bus.%I'
                           ' FOR EACH STATEMENT EXECUTE FUNCTION bus.refuse_change()', child);
        END IF;
        -- Not `PARTITION OF`, which would take an exclusive lock on the whole table.
        EXECUTE format('ALTER TABLE bus.%I ATTACH PARTITION bus.%I FOR VALUES FROM (%L) TO (%L)',
                       parent, child, lower_id, upper_id);
        RETURN 'added';
    EXCEPTION WHEN check_violation THEN
        RETURN 'occupied';
    END $$
"""

# Three calls, each in a transaction of its own: the long validation then holds no lock that delays
# other sessions, and `attach_day` need not scan the default partition while all sessions wait.
EXCLUSION = (
    """
    CREATE FUNCTION bus.exclude_day(parent text, day date) RETURNS void
    LANGUAGE plpgsql DEFINER AS $$
    DECLARE
        id_column text := bus.id_column_of(parent);
    BEGIN
        PERFORM bus.require_read_committed();
        IF day <= (now() AT TIME ZONE 'UTC')::date THEN
            RAISE invalid_parameter_value USING MESSAGE = 'rows of this day may be written now';
        END IF;
        EXECUTE format('ALTER TABLE bus.%I ADD CONSTRAINT %I CHECK (%I < %L OR %I >= %L) NOT VALID',
                       parent || '_default', parent || '_outside',
                       id_column, bus.first_id_at(day::timestamp AT TIME ZONE 'UTC'),
                       id_column, bus.first_id_at((day + 1)::timestamp AT TIME ZONE 'UTC'));
    END $$
    """,
    """
    CREATE FUNCTION bus.validate_exclusion(parent text) RETURNS void
    LANGUAGE plpgsql DEFINER AS $$
    BEGIN
        PERFORM bus.require_read_committed();
        PERFORM bus.id_column_of(parent);
        EXECUTE format('ALTER TABLE bus.%I VALIDATE CONSTRAINT %I',
                       parent || '_default', parent || '_outside');
    END $$
    """,
    """
    CREATE FUNCTION bus.end_exclusion(parent text) RETURNS void
    LANGUAGE plpgsql DEFINER AS $$
    BEGIN
        PERFORM bus.require_read_committed();
        PERFORM bus.id_column_of(parent);
        -- Without a constraint no lock is needed.
        IF EXISTS (
            SELECT FROM pg_constraint WHERE conname = parent || '_outside'
                AND conrelid = ('bus.' || parent || '_default')::regclass
        ) THEN
            EXECUTE format('ALTER TABLE bus.%I DROP CONSTRAINT IF EXISTS %I',
                           parent || '_default', parent || '_outside');
        END IF;
    END $$
    """,
)

# Drops one partition whose day ended before both the given time and the retention of the database,
# and whose rows are not needed. The last check runs under the lock: a replay that was reading these
# events has ended by then.
DROP_DAY = """
    CREATE FUNCTION bus.drop_day(child text, ended_before timestamptz) RETURNS boolean
    LANGUAGE plpgsql DEFINER AS $$
    DECLARE
        parent text;
        bounds text[];
    BEGIN
        PERFORM bus.require_read_committed();
        SELECT p.relname, regexp_match(pg_get_expr(c.relpartbound, c.oid),
               $re$FOR VALUES FROM \\('([0-9a-f-]{36})'\\) TO \\('([0-9a-f-]{36})'\\)$re$)
        INTO parent, bounds
        FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
        JOIN pg_class p ON p.oid = i.inhparent
        WHERE c.relnamespace = 'bus'::regnamespace AND c.relname = child
            AND i.inhparent IN ('bus.event'::regclass, 'bus.receipt'::regclass);
        IF bounds IS NULL OR bounds[2]::uuid > bus.first_id_at(bus.removable_until(ended_before))
        THEN
            RETURN false;
        END IF;
        EXECUTE format('LOCK TABLE bus.%I IN ACCESS EXCLUSIVE MODE', parent);
        IF bus.is_range_needed(parent, bounds[1]::uuid, bounds[2]::uuid) THEN
            RETURN false;
        END IF;
        EXECUTE format('DROP TABLE bus.%I', child);
        RETURN true;
    END $$
"""

# Truncates the default partition if its newest row is older than both the given time and the
# retention of the database, and no row is needed.
EMPTY_DEFAULT = """
    CREATE FUNCTION bus.empty_default(parent text, stored_before timestamptz) RETURNS boolean
    LANGUAGE plpgsql DEFINER AS $$
    DECLARE
        id_column text := bus.id_column_of(parent);
        rest text := parent || '_default';
        limit_id uuid := bus.first_id_at(bus.removable_until(stored_before));
        newest text := format('SELECT %I FROM bus.%I ORDER BY 1 DESC LIMIT 1', id_column, rest);
        newest_id uuid;
    BEGIN
        PERFORM bus.require_read_committed();
        EXECUTE newest INTO newest_id;
        IF newest_id IS NULL OR newest_id >= limit_id THEN
            RETURN false;
        END IF;
        EXECUTE format('LOCK TABLE bus.%I IN ACCESS EXCLUSIVE MODE', rest);
        EXECUTE newest INTO newest_id;
        IF newest_id >= limit_id
            OR bus.is_range_needed(parent, '00000000-0000-0000-0000-000000000000', limit_id)
        THEN
            RETURN false;
        END IF;
        EXECUTE format('TRUNCATE bus.%I', rest);
        RETURN true;
    END $$
"""

# Live replicas delete dead ones at every renewal. The rows of `replica` that are deleted here
# remain when the last replica stops.
DELETE_AGED = """
    CREATE FUNCTION bus.delete_aged(table_name text, stored_before timestamptz, row_limit integer)
    RETURNS integer LANGUAGE plpgsql DEFINER AS $$
    DECLARE
        until_moment timestamptz := bus.removable_until(stored_before);
        deleted integer;
    BEGIN
        PERFORM bus.require_read_committed();
        IF table_name = 'inbox' THEN
            DELETE FROM bus.inbox WHERE foreign_id_hash IN (
                SELECT foreign_id_hash FROM bus.inbox WHERE received_at < until_moment
                ORDER BY received_at LIMIT row_limit FOR UPDATE SKIP LOCKED
            );
        ELSIF table_name = 'replica' THEN
            DELETE FROM bus.replica WHERE id IN (
                SELECT id FROM bus.replica WHERE until < until_moment
                ORDER BY until LIMIT row_limit FOR UPDATE SKIP LOCKED
            );
        ELSE
            RAISE invalid_parameter_value USING MESSAGE = 'rows of this table have no age limit';
        END IF;
        GET DIAGNOSTICS deleted = ROW_COUNT;
        RETURN deleted;
    END $$
"""

FUNCTIONS = (
    "removable_until(timestamptz)",
    "first_id_at(timestamptz)",
    "require_read_committed()",
    "id_column_of(text)",
    "is_event_range_needed(uuid, uuid)",
    "is_receipt_range_needed(uuid, uuid)",
    "is_range_needed(text, uuid, uuid)",
    "attach_day(text, date, boolean)",
    "exclude_day(text, date)",
    "validate_exclusion(text)",
    "end_exclusion(text)",
    "drop_day(text, timestamptz)",
    "empty_default(text, timestamptz)",
    "delete_aged(text, timestamptz, integer)",
)


def upgrade() -> None:
    """Add the functions, and the age below which no caller may remove rows."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in (
        *(*RETENTION, *HELPERS),
        *(EVENT_NEEDED, RECEIPT_NEEDED, IS_RANGE_NEEDED),
        *(ATTACH_DAY, *EXCLUSION, DROP_DAY, EMPTY_DEFAULT, DELETE_AGED),
    ):
        op.execute(statement.replace("DEFINER", DEFINER))
    for name in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION bus.{name} FROM PUBLIC")


def downgrade() -> None:
    """Let retention need the ownership of the tables again."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION bus.{name}")
    op.execute("DROP TABLE bus.retention")
