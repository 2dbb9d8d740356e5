"""Keep citizens' consents at HMRC, encrypted.

Revision ID: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is known of accounts, what was begun, and what was given."""
    op.execute("""
        CREATE TABLE hmrc.account (
            account_id uuid NOT NULL,
            blocked_at timestamptz,
            CONSTRAINT account_pkey PRIMARY KEY (account_id)
        )
    """)
    op.execute("""
        CREATE TABLE hmrc.consent_request (
            account_id   uuid NOT NULL,
            state_digest bytea NOT NULL,
            sealed_proof bytea NOT NULL,
            expires_at   timestamptz NOT NULL,
            taken_at     timestamptz,
            CONSTRAINT consent_request_pkey PRIMARY KEY (account_id),
            CONSTRAINT consent_request_state_is_a_digest CHECK (octet_length(state_digest) = 32)
        )
    """)
    op.execute("""
        CREATE INDEX consent_request_expires_at_idx ON hmrc.consent_request (expires_at)
    """)
    # One for all accounts: a consent that follows a deleted one has none of its generations.
    op.execute("CREATE SEQUENCE hmrc.consent_generation AS bigint")
    # `claimed_until`: one request is exchanging the tokens, and others wait.
    op.execute("""
        CREATE TABLE hmrc.consent (
            account_id    uuid NOT NULL,
            generation    bigint NOT NULL DEFAULT nextval('hmrc.consent_generation'),
            sealed        bytea,
            renew_at      timestamptz NOT NULL,
            claimed_until timestamptz,
            granted_at    timestamptz NOT NULL,
            ends_at       timestamptz NOT NULL,
            lapsed_at     timestamptz,
            CONSTRAINT consent_pkey PRIMARY KEY (account_id),
            CONSTRAINT consent_holds_something_until_it_lapses CHECK
                ((sealed IS NULL) = (lapsed_at IS NOT NULL)),
            CONSTRAINT consent_that_lapsed_is_not_claimed CHECK
                (lapsed_at IS NULL OR claimed_until IS NULL)
        )
    """)


def downgrade() -> None:
    """Remove them; account holders have to consent again."""
    op.execute("DROP TABLE hmrc.consent")
    op.execute("DROP SEQUENCE hmrc.consent_generation")
    op.execute("DROP TABLE hmrc.consent_request")
    op.execute("DROP TABLE hmrc.account")
