"""The audit log: entries, personal values beside them, the leaves of the tree and its checkpoints.

Revision ID: 0029
"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None
compatible_from = 27

TABLES = (
    "CREATE SCHEMA audit",
    "CREATE SEQUENCE audit.entry_position AS bigint CACHE 1",
    # A transaction has an id before it draws a position. The sealer relies on it: if all
    # transactions up to an id have ended, no entry can appear at a position that was drawn before.
    """
    CREATE TABLE audit.entry (
        position bigint NOT NULL DEFAULT
            CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('audit.entry_position') END,
        id       uuid NOT NULL,
        at       timestamptz NOT NULL,
        event    text NOT NULL,
        subject  uuid,
        content  bytea NOT NULL,
        mac      bytea NOT NULL CHECK (length(mac) = 32),
        PRIMARY KEY (position),
        CONSTRAINT entry_id_key UNIQUE (id)
    )
    """,
    """
    CREATE INDEX entry_subject ON audit.entry (subject, position) WHERE subject IS NOT NULL
    """,
    # A citizen's access log has the reads of the data of all accounts too.
    """
    CREATE INDEX entry_common_reads ON audit.entry (position)
    WHERE event = 'data.read' AND subject IS NULL
    """,
    """
    CREATE TABLE audit.restricted (
        entry_id uuid NOT NULL,
        kind     text NOT NULL CHECK (kind IN ('login', 'request', 'staff', 'evidence')),
        content  text NOT NULL,
        at       timestamptz NOT NULL,
        PRIMARY KEY (entry_id, kind)
    )
    """,
    "CREATE INDEX restricted_age ON audit.restricted (kind, at)",
    # `nodes` are the hashes of the complete subtrees that end with this leaf, from level 1 upwards.
    # An inclusion proof therefore reads about as many rows as the tree has levels.
    """
    CREATE TABLE audit.leaf (
        index    bigint NOT NULL CHECK (index >= 0),
        entry_id uuid NOT NULL,
        hash     bytea NOT NULL CHECK (length(hash) = 32),
        nodes    bytea CHECK (length(nodes) > 0 AND length(nodes) % 32 = 0),
        PRIMARY KEY (index),
        CONSTRAINT leaf_entry_id_key UNIQUE (entry_id)
    )
    """,
    """
    CREATE TABLE audit.checkpoint (
        size  bigint NOT NULL CHECK (size >= 0),
        root  bytea NOT NULL CHECK (length(root) = 32),
        note  text NOT NULL,
        floor bigint NOT NULL CHECK (floor >= 0),
        at    timestamptz NOT NULL,
        PRIMARY KEY (size)
    )
    """,
    "CREATE INDEX checkpoint_at ON audit.checkpoint (at)",
    """
    CREATE TABLE audit.retention (
        kind     text NOT NULL CHECK (kind IN ('entry', 'login', 'request', 'staff', 'evidence')),
        kept_for interval NOT NULL,
        PRIMARY KEY (kind)
    )
    """,
    """
    INSERT INTO audit.retention (kind, kept_for)
    VALUES ('entry', '7 years'), ('login', '30 days'), ('request', '90 days'),
           ('staff', '7 years'), ('evidence', '7 years')
    """,
)

# Only the functions below remove rows: they make the setting for the time of their statement. The
# privilege to delete is their owner's alone, so the setting opens nothing to the application.
GUARDS = (
    """
    CREATE FUNCTION audit.refuse_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('entry', 'restricted')
            AND current_setting('govid.purging', true) = 'on'
        THEN
            RETURN OLD;
        END IF;
        RAISE restrict_violation USING
            MESSAGE = format('rows of %I.%I are never changed', TG_TABLE_SCHEMA, TG_TABLE_NAME);
    END $$
    """,
    *(
        f"""
        CREATE TRIGGER {table}_is_immutable BEFORE UPDATE OR DELETE ON audit.{table}
        FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()
        """
        for table in ("entry", "restricted", "leaf", "checkpoint")
    ),
    *(
        f"""
        CREATE TRIGGER {table}_is_not_truncated BEFORE TRUNCATE ON audit.{table}
        FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()
        """
        for table in ("entry", "restricted", "leaf", "checkpoint")
    ),
)

# It replaces the word `DEFINER` below.
DEFINER = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"

# Of the given time and the stored retention the earlier counts. Without a stored retention nothing
# is removed: `least` ignores NULL, so it is inside the query, which then has no row.
PURGE = (
    """
    CREATE FUNCTION audit.purge_restricted(purged_kind text, before timestamptz, row_limit integer)
    RETURNS integer LANGUAGE plpgsql DEFINER AS $$
    DECLARE
        until_moment timestamptz := (
            SELECT least(before, now() - kept_for) FROM audit.retention WHERE kind = purged_kind
        );
        deleted integer;
    BEGIN
        IF until_moment IS NULL OR purged_kind = 'entry' THEN
            RAISE invalid_parameter_value USING MESSAGE = 'no retention of this kind is stored';
        END IF;
        PERFORM set_config('govid.purging', 'on', true);
        DELETE FROM audit.restricted WHERE (entry_id, kind) IN (
            SELECT entry_id, kind FROM audit.restricted
            WHERE kind = purged_kind AND at < until_moment ORDER BY at LIMIT row_limit
        );
        GET DIAGNOSTICS deleted = ROW_COUNT;
        PERFORM set_config('govid.purging', 'off', true);
        RETURN deleted;
    END $$
    """,
    # Only sealed entries, from the oldest: their leaves stay. The age is that of the checkpoint,
    # whose time is signed.
    """
    CREATE FUNCTION audit.purge_entries(before timestamptz, row_limit integer)
    RETURNS integer LANGUAGE plpgsql DEFINER AS $$
    DECLARE
        until_moment timestamptz := (
            SELECT least(before, now() - kept_for) FROM audit.retention WHERE kind = 'entry'
        );
        until_index bigint;
        until_position bigint;
        deleted integer;
    BEGIN
        IF until_moment IS NULL THEN
            RAISE invalid_parameter_value USING MESSAGE = 'the retention of entries is not stored';
        END IF;
        SELECT size, floor INTO until_index, until_position
        FROM audit.checkpoint WHERE at < until_moment
        ORDER BY at DESC, size DESC LIMIT 1;
        IF until_index IS NULL THEN
            RETURN 0;
        END IF;
        PERFORM set_config('govid.purging', 'on', true);
        DELETE FROM audit.entry WHERE position IN (
            SELECT e.position FROM audit.entry e JOIN audit.leaf l ON l.entry_id = e.id
            WHERE e.position <= until_position AND l.index < until_index AND e.at < until_moment
            ORDER BY e.position LIMIT row_limit
        );
        GET DIAGNOSTICS deleted = ROW_COUNT;
        PERFORM set_config('govid.purging', 'off', true);
        RETURN deleted;
    END $$
    """,
)


def upgrade() -> None:
    """Create schema `audit`."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in (*TABLES, *GUARDS, *PURGE):
        op.execute(statement.replace("DEFINER", DEFINER))
    for name in (
        "refuse_change()",
        "purge_restricted(text, timestamptz, integer)",
        "purge_entries(timestamptz, integer)",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION audit.{name} FROM PUBLIC")


def downgrade() -> None:
    """Remove the audit log with everything in it."""
    op.execute("DROP SCHEMA audit CASCADE")
