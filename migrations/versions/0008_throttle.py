"""Count attempts where every process sees them.

Both tables are keyed by pseudonyms: they say how often, never who. Their rows leave within a day.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    # `pending` holds the attempts that are under way: {ticket: seconds since 1970}. `verdict` and
    # `turn` are what the last statement decided, so that one statement can decide and tell.
    op.execute("""
        CREATE TABLE identity.throttle (
            flow         text NOT NULL,
            bucket       text NOT NULL,
            failures     integer NOT NULL DEFAULT 0,
            pending      jsonb NOT NULL DEFAULT '{}',
            locks        integer NOT NULL DEFAULT 0,
            locked_at    timestamptz,
            locked_until timestamptz,
            account_id   uuid,
            verdict      text NOT NULL,
            turn         text,
            touched_at   timestamptz NOT NULL,
            CONSTRAINT throttle_pkey PRIMARY KEY (flow, bucket),
            CONSTRAINT throttle_counts_are_natural CHECK (failures >= 0 AND locks >= 0),
            CONSTRAINT throttle_pending_is_an_object CHECK (jsonb_typeof(pending) = 'object'),
            CONSTRAINT throttle_lock_has_a_beginning CHECK
                (locked_until IS NULL OR (locked_at IS NOT NULL AND locks > 0)),
            CONSTRAINT throttle_verdict_is_known CHECK (verdict IN ('granted', 'full', 'locked')),
            CONSTRAINT throttle_turn_is_known CHECK (turn IN ('began', 'ended'))
        ) WITH (fillfactor = 70)
    """)
    op.execute("""
        CREATE INDEX throttle_locked ON identity.throttle (locked_until)
        WHERE locked_until IS NOT NULL
    """)
    op.execute("""
        CREATE TABLE identity.quota (
            kind    text NOT NULL,
            bucket  text NOT NULL,
            held    integer NOT NULL,
            spent   integer NOT NULL DEFAULT 0,
            ends_at timestamptz NOT NULL,
            CONSTRAINT quota_pkey PRIMARY KEY (kind, bucket),
            CONSTRAINT quota_counts_are_natural CHECK (held >= 0 AND spent >= 0)
        ) WITH (fillfactor = 70)
    """)


def downgrade() -> None:
    """Remove the tables: who was locked is free."""
    op.execute("DROP TABLE identity.quota")
    op.execute("DROP TABLE identity.throttle")
