"""Keep the digest of what came in under an identity.

Revision ID: 0022
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None
compatible_from = 20


def upgrade() -> None:
    """Add the column; rows of older releases have none, and are judged by their event's payload."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE bus.inbox ADD COLUMN digest bytea")


def downgrade() -> None:
    """Remove it."""
    op.execute("ALTER TABLE bus.inbox DROP COLUMN digest")
