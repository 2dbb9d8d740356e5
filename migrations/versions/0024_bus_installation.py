"""Give each installation a name of its own, which its records in Kafka carry.

Revision ID: 0024
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None
compatible_from = 20


def upgrade() -> None:
    """Add a table for one row; the first server that starts writes it."""
    op.execute("""
        CREATE TABLE bus.installation (
            id       text NOT NULL,
            is_own   boolean NOT NULL DEFAULT true,
            named_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT installation_pkey PRIMARY KEY (is_own),
            CONSTRAINT installation_is_one CHECK (is_own)
        )
    """)


def downgrade() -> None:
    """Forget the name."""
    op.execute("DROP TABLE bus.installation")
