"""Drop a column of dead letters that no release has written.

Revision ID: 0027
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None
# No statement names the column, but the fingerprint of schema `bus` lists it up to schema 0026. A
# process of such a release is not ready without it.
compatible_from = 27


def upgrade() -> None:
    """Drop the column: a contract step (ADR-0031)."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE bus.dead DROP COLUMN replay_count")


def downgrade() -> None:
    """Add the column again, as the fingerprint of earlier releases lists it."""
    op.execute("ALTER TABLE bus.dead ADD COLUMN replay_count integer NOT NULL DEFAULT 0")
