"""Store which releases still run on this schema.

Revision ID: 0020
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None
# Releases before this one demand exactly their own schema.
compatible_from = 20


def upgrade() -> None:
    """Add the number to the version table; migrations/env.py writes it after each migration."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE public.govid_version ADD COLUMN compatible_from integer")


def downgrade() -> None:
    """Forget it."""
    op.execute("ALTER TABLE public.govid_version DROP COLUMN compatible_from")
