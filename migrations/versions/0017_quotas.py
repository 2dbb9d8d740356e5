"""Count how often accounts use what departments and other citizens share.

Revision ID: 0017
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the counters of nhs and hmrc, and an index by which their rows are cleaned up."""
    for schema in ("nhs", "hmrc"):
        op.execute(f"""
            CREATE TABLE {schema}.quota (
                kind    text NOT NULL,
                bucket  text NOT NULL,
                held    integer NOT NULL,
                spent   integer NOT NULL DEFAULT 0,
                ends_at timestamptz NOT NULL,
                CONSTRAINT quota_pkey PRIMARY KEY (kind, bucket),
                CONSTRAINT quota_counts_are_natural CHECK (held >= 0 AND spent >= 0)
            ) WITH (fillfactor = 70)
        """)
        op.execute(f"CREATE INDEX quota_ends_at_idx ON {schema}.quota (ends_at)")


def downgrade() -> None:
    """Remove them: what was used counts no longer."""
    op.execute("DROP TABLE hmrc.quota")
    op.execute("DROP TABLE nhs.quota")
