"""Let sessions be renewed, listed and ended, and signing keys take turns.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table."""
    # The defaults are for the release before, which may still open sessions beside this one.
    op.execute("""
        ALTER TABLE identity.session
            ADD COLUMN last_seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
            ADD COLUMN idle_expires_at timestamptz NOT NULL DEFAULT 'infinity'
    """)
    # What housekeeping asks for: who has expired, and who has been dead for long.
    op.execute("""
        CREATE INDEX session_end ON identity.session
            (least(idle_expires_at, absolute_expires_at)) WHERE revoked_at IS NULL
    """)
    op.execute("""
        CREATE INDEX session_revoked ON identity.session (revoked_at) WHERE revoked_at IS NOT NULL
    """)
    op.execute("""
        CREATE TABLE identity.refresh_token (
            hash       bytea NOT NULL,
            session_id uuid NOT NULL,
            client_id  text NOT NULL,
            issued_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at timestamptz NOT NULL,
            used_at    timestamptz,
            CONSTRAINT refresh_token_pkey PRIMARY KEY (hash),
            CONSTRAINT refresh_token_session_fkey FOREIGN KEY (session_id)
                REFERENCES identity.session (id) ON DELETE CASCADE,
            CONSTRAINT refresh_token_hash_is_sha256 CHECK (octet_length(hash) = 32)
        )
    """)
    op.execute("CREATE INDEX refresh_token_session ON identity.refresh_token (session_id)")
    # However a family is raced for, it never has two tokens that would both be good.
    op.execute("""
        CREATE UNIQUE INDEX refresh_token_unused_key ON identity.refresh_token (session_id)
        WHERE used_at IS NULL
    """)
    op.execute("""
        ALTER TABLE identity.signing_key
            ADD COLUMN due_at timestamptz,
            ALTER COLUMN private_key DROP NOT NULL,
            ADD CONSTRAINT signing_key_change_is_due CHECK
                ((state IN ('next', 'retiring')) = (due_at IS NOT NULL)),
            ADD CONSTRAINT signing_key_retired_signs_nothing CHECK
                ((state = 'retired') = (private_key IS NULL))
    """)
    op.execute("""
        CREATE UNIQUE INDEX signing_key_next_key ON identity.signing_key (algorithm)
        WHERE state = 'next'
    """)


def downgrade() -> None:
    """Remove them; only the active key is left, so tokens of the others are dead."""
    op.execute("DELETE FROM identity.signing_key WHERE state <> 'active'")
    op.execute("""
        ALTER TABLE identity.signing_key
            DROP CONSTRAINT signing_key_change_is_due,
            DROP CONSTRAINT signing_key_retired_signs_nothing,
            DROP COLUMN due_at,
            ALTER COLUMN private_key SET NOT NULL
    """)
    op.execute("DROP INDEX identity.signing_key_next_key")
    op.execute("DROP TABLE identity.refresh_token")
    op.execute("DROP INDEX identity.session_revoked, identity.session_end")
    op.execute("""
        ALTER TABLE identity.session DROP COLUMN last_seen_at, DROP COLUMN idle_expires_at
    """)
