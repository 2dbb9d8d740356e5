"""Refuse TRUNCATE on events, which fires no trigger for rows.

Revision ID: 0026
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None
compatible_from = 20


def upgrade() -> None:
    """Add the trigger to the table and to its days.

    Not to the default partition: retention empties it after moving its rows to the right day.
    """
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        CREATE TRIGGER event_is_not_truncated BEFORE TRUNCATE ON bus.event
        FOR EACH STATEMENT EXECUTE FUNCTION bus.refuse_change()
    """)
    op.execute("""
        DO $$
        DECLARE day regclass;
        BEGIN
            FOR day IN
                SELECT i.inhrelid::regclass
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'bus.event'::regclass
                    AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
            LOOP
                EXECUTE format(
                    'CREATE TRIGGER event_is_not_truncated BEFORE TRUNCATE ON %s'
                    ' FOR EACH STATEMENT EXECUTE FUNCTION bus.refuse_change()', day
                );
            END LOOP;
        END $$
    """)


def downgrade() -> None:
    """Let events be truncated, the table and each of its days."""
    op.execute("""
        DO $$
        DECLARE tab regclass;
        BEGIN
            FOR tab IN SELECT tgrelid::regclass FROM pg_trigger
                WHERE tgname = 'event_is_not_truncated'
            LOOP
                EXECUTE format('DROP TRIGGER event_is_not_truncated ON %s', tab);
            END LOOP;
        END $$
    """)
