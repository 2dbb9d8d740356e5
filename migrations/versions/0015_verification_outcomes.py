"""Let evidence say that a record was restricted or incomplete, and let a person look at the first.

Revision ID: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_REASONS = "'another_account', 'far_future', 'notice_before_registration', 'deceased'"


def upgrade() -> None:
    """Widen three checks. Each is added unvalidated first, so that the lock is short."""
    _check(
        "evidence",
        "evidence_outcome_is_known",
        "outcome IN ('match', 'mismatch', 'deceased', 'restricted', 'incomplete', 'insufficient')",
    )
    _check("review_item", "review_item_reason_is_known", f"reason IN ({_REASONS}, 'restricted')")
    _check(
        "review_item",
        "review_item_has_a_notice",
        "(life_event_id IS NULL) = (reason IN ('deceased', 'restricted'))",
    )


def downgrade() -> None:
    """Narrow them again. What the older release has no word for becomes what it did with it."""
    op.execute("DELETE FROM identity.review_item WHERE reason = 'restricted'")
    op.execute("""
        UPDATE identity.evidence SET outcome = 'insufficient'
        WHERE outcome IN ('restricted', 'incomplete')
    """)
    _check(
        "evidence",
        "evidence_outcome_is_known",
        "outcome IN ('match', 'mismatch', 'deceased', 'insufficient')",
    )
    _check("review_item", "review_item_reason_is_known", f"reason IN ({_REASONS})")
    _check(
        "review_item",
        "review_item_has_a_notice",
        "(life_event_id IS NULL) = (reason = 'deceased')",
    )


def _check(table: str, name: str, condition: str) -> None:
    op.execute(f"ALTER TABLE identity.{table} DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE identity.{table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    # In a transaction of its own: only then is no session blocked while all rows are read.
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE identity.{table} VALIDATE CONSTRAINT {name}")
