"""Keep the positions at which an inbound partition has stopped.

Revision ID: 0021
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
compatible_from = 20


def upgrade() -> None:
    """Add the table; it is empty as long as nothing is wrong."""
    op.execute("""
        CREATE TABLE bus.inbound_fault (
            topic        text NOT NULL,
            partition    integer NOT NULL,
            first_offset bigint NOT NULL,
            next_offset  bigint NOT NULL,
            kind         text NOT NULL,
            reason       text NOT NULL,
            found_at     timestamptz NOT NULL DEFAULT now(),
            accepted_at  timestamptz,
            CONSTRAINT inbound_fault_pkey PRIMARY KEY (topic, partition, first_offset),
            CONSTRAINT inbound_fault_kind_check CHECK (kind IN ('unreadable', 'failing')),
            CONSTRAINT inbound_fault_next_offset_check CHECK (next_offset > first_offset)
        )
    """)


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP TABLE bus.inbound_fault")
