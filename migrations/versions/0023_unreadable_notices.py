"""Let a person look at notices of death that cannot be read.

Revision ID: 0023
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None
compatible_from = 20

REASONS = (
    "'another_account', 'far_future', 'notice_before_registration', 'deceased', 'restricted', "
    "'identifier_shared', 'email_shared'"
)


def upgrade() -> None:
    """Know one more reason of a review."""
    _reasons(f"{REASONS}, 'notice_unreadable'")


def downgrade() -> None:
    """Know it no more; such reviews go."""
    op.execute("DELETE FROM identity.review_item WHERE reason = 'notice_unreadable'")
    _reasons(REASONS)


def _reasons(known: str) -> None:
    op.execute("ALTER TABLE identity.review_item DROP CONSTRAINT review_item_reason_is_known")
    op.execute(f"""
        ALTER TABLE identity.review_item ADD CONSTRAINT review_item_reason_is_known
            CHECK (reason IN ({known})) NOT VALID
    """)
    # In a transaction of its own: only then is no session blocked while all rows are read.
    with op.get_context().autocommit_block():
        op.execute(
            "ALTER TABLE identity.review_item VALIDATE CONSTRAINT review_item_reason_is_known"
        )
