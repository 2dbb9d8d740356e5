"""Let operators accept what changed in Kafka: partitions, gaps, and records of a later time.

Revision ID: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns, and tables that begin empty."""
    # `change` counts acceptances over all topics. A replica notes in `topics_change` which of them
    # is in force for all that it has under way.
    op.execute("""
        ALTER TABLE bus.topic
            ADD COLUMN change bigint NOT NULL DEFAULT 0,
            ADD COLUMN switching_to integer,
            ADD COLUMN switching_until timestamptz,
            ADD CONSTRAINT topic_switching_to_check CHECK (switching_to > 0)
    """)
    op.execute("ALTER TABLE bus.replica ADD COLUMN topics_change bigint")
    # Records before this offset may be unknown to the database: an operator has accepted that.
    op.execute("""
        CREATE TABLE bus.accepted_end (
            topic       text NOT NULL,
            partition   integer NOT NULL,
            "offset"    bigint NOT NULL,
            accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT accepted_end_pkey PRIMARY KEY (topic, partition)
        )
    """)
    # Records from `first` to before `next` that Kafka had removed before they were read.
    op.execute("""
        CREATE TABLE bus.inbox_gap (
            topic       text NOT NULL,
            partition   integer NOT NULL,
            first       bigint NOT NULL,
            next        bigint NOT NULL,
            found_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
            accepted_at timestamptz,
            CONSTRAINT inbox_gap_pkey PRIMARY KEY (topic, partition, first),
            CONSTRAINT inbox_gap_is_not_empty CHECK (first < next)
        )
    """)


def downgrade() -> None:
    """Forget them."""
    op.execute("DROP TABLE bus.inbox_gap")
    op.execute("DROP TABLE bus.accepted_end")
    op.execute("ALTER TABLE bus.replica DROP COLUMN topics_change")
    op.execute("""
        ALTER TABLE bus.topic
            DROP COLUMN change, DROP COLUMN switching_to, DROP COLUMN switching_until
    """)
