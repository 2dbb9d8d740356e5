"""Open reviews are counted once a minute.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let open reviews be counted without reading those that are closed."""
    op.execute("""
        CREATE INDEX review_item_open ON identity.review_item (opened_at) WHERE state = 'open'
    """)


def downgrade() -> None:
    """Undo it."""
    op.execute("DROP INDEX identity.review_item_open")
