"""Note what proves later that nothing is missing: addressees, and the ends of each key.

Who an event was addressed to was known only from its deliveries and receipts, and so was known no
more once one of them was lost. And when a key's last event was gone, nothing said from when it was.

Revision ID: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Rows stored before keep NULL: the addressees are not known any more."""
    op.execute("ALTER TABLE bus.event ADD COLUMN addressees text[]")
    op.execute("ALTER TABLE bus.stream ADD COLUMN first_id uuid, ADD COLUMN last_id uuid")
    op.execute("""
        UPDATE bus.stream s SET
            first_id = (SELECT e.id FROM bus.event e WHERE e.key = s.key AND e.seq = 1),
            last_id = (SELECT e.id FROM bus.event e WHERE e.key = s.key AND e.seq = s.seq)
    """)


def downgrade() -> None:
    """Remove the columns."""
    op.execute("ALTER TABLE bus.stream DROP COLUMN first_id, DROP COLUMN last_id")
    op.execute("ALTER TABLE bus.event DROP COLUMN addressees")
