"""Find the sessions of an account, and counters that are over, by index.

Revision ID: 0025
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None
# An older release finds the same rows, by other indexes.
compatible_from = 20

INDEXES = {
    "session_account_id_idx": "identity.session (account_id)",
    "throttle_touched_at_idx": "identity.throttle (touched_at) WHERE locked_until IS NULL",
    "throttle_untouched_idx": """identity.throttle (flow, bucket)
        WHERE locked_until IS NULL AND failures = 0 AND locks = 0 AND pending = '{}'""",
    "identity_quota_ends_at_idx": "identity.quota (ends_at)",
    **{
        f"{schema}_quota_unused_idx": f"{schema}.quota (kind, bucket) WHERE held = 0 AND spent = 0"
        for schema in ("identity", "nhs", "hmrc")
    },
}


def upgrade() -> None:
    """Build the indexes while their tables are written to."""
    with op.get_context().autocommit_block():
        # A build waits for every transaction that is older than itself, and blocks no session.
        op.execute("SET lock_timeout = 0")
        op.execute("SET statement_timeout = 0")
        for name, rows in INDEXES.items():
            # An interrupted build leaves an index that PostgreSQL does not use.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_schema(rows)}.{name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {rows}")
        # The index of all sessions of an account serves for those that are not revoked, too.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS identity.session_account")


def downgrade() -> None:
    """Remove them."""
    op.execute("""
        CREATE INDEX session_account ON identity.session (account_id) WHERE revoked_at IS NULL
    """)
    for name, rows in INDEXES.items():
        op.execute(f"DROP INDEX {_schema(rows)}.{name}")


def _schema(rows: str) -> str:
    return rows.partition(".")[0]
