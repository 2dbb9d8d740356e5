"""The tables of identity: accounts, sessions and signing keys.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create schema `identity`."""
    op.execute("CREATE SCHEMA identity")
    op.execute("""
        CREATE TABLE identity.account (
            id                 uuid NOT NULL,
            email              text,
            email_canonical    text,
            identifier_type    text,
            identifier_value   text,
            phone_number       text,
            password_hash      text,
            status             text NOT NULL,
            status_before      text,
            auth_provider      text NOT NULL DEFAULT 'email',
            tokens_valid_after timestamptz NOT NULL DEFAULT '-infinity',
            created_at         timestamptz NOT NULL,
            updated_at         timestamptz NOT NULL,
            CONSTRAINT account_pkey PRIMARY KEY (id),
            CONSTRAINT account_status_is_known CHECK (status IN
                ('registered', 'pending_verification', 'verified', 'verification_failed',
                 'blocked')),
            CONSTRAINT account_status_before_is_known CHECK (status_before IN
                ('registered', 'pending_verification', 'verified', 'verification_failed')),
            CONSTRAINT account_blocked_remembers CHECK
                ((status = 'blocked') = (status_before IS NOT NULL)),
            CONSTRAINT account_registered_has_no_identifier CHECK
                ((coalesce(status_before, status) = 'registered') = (identifier_value IS NULL)),
            CONSTRAINT account_identifier_is_whole CHECK
                ((identifier_type IS NULL) = (identifier_value IS NULL)),
            CONSTRAINT account_identifier_type_is_known CHECK (identifier_type IN ('NIN', 'NHS')),
            CONSTRAINT account_email_is_whole CHECK
                ((email IS NULL) = (email_canonical IS NULL)),
            CONSTRAINT account_password_has_email CHECK
                (password_hash IS NULL OR email IS NOT NULL),
            CONSTRAINT account_email_provider_has_password CHECK
                (auth_provider <> 'email' OR password_hash IS NOT NULL)
        ) WITH (fillfactor = 80)
    """)
    # In this order: of two violated unique indexes PostgreSQL names the older one, and an address
    # that is taken is reported before an identifier that is taken.
    op.execute("""
        CREATE UNIQUE INDEX account_email_key ON identity.account (email_canonical)
        WHERE password_hash IS NOT NULL
    """)
    op.execute("""
        CREATE UNIQUE INDEX account_identifier_key
        ON identity.account (identifier_type, identifier_value)
        WHERE identifier_value IS NOT NULL
    """)
    op.execute("""
        CREATE TABLE identity.session (
            id                  uuid NOT NULL,
            account_id          uuid NOT NULL,
            client_id           text NOT NULL,
            acr                 text NOT NULL,
            auth_time           timestamptz NOT NULL,
            created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
            absolute_expires_at timestamptz NOT NULL,
            revoked_at          timestamptz,
            revoked_reason      text,
            CONSTRAINT session_pkey PRIMARY KEY (id),
            CONSTRAINT session_account_fkey FOREIGN KEY (account_id)
                REFERENCES identity.account (id) ON DELETE CASCADE,
            CONSTRAINT session_revocation_has_a_reason CHECK
                ((revoked_at IS NULL) = (revoked_reason IS NULL)),
            CONSTRAINT session_ends_after_it_began CHECK (absolute_expires_at > created_at)
        )
    """)
    op.execute("""
        CREATE INDEX session_account ON identity.session (account_id) WHERE revoked_at IS NULL
    """)
    op.execute("""
        CREATE TABLE identity.signing_key (
            kid         text NOT NULL,
            algorithm   text NOT NULL,
            public_key  bytea NOT NULL,
            private_key bytea NOT NULL,
            sealed      boolean NOT NULL,
            state       text NOT NULL,
            created_at  timestamptz NOT NULL,
            CONSTRAINT signing_key_pkey PRIMARY KEY (kid),
            CONSTRAINT signing_key_algorithm_is_known CHECK (algorithm IN ('ES256')),
            CONSTRAINT signing_key_state_is_known CHECK
                (state IN ('next', 'active', 'retiring', 'retired'))
        )
    """)
    # However many replicas start at once on an empty database, one of their keys becomes the key.
    op.execute("""
        CREATE UNIQUE INDEX signing_key_active_key ON identity.signing_key (algorithm)
        WHERE state = 'active'
    """)


def downgrade() -> None:
    """Remove schema `identity` and every account in it."""
    op.execute("DROP SCHEMA identity CASCADE")
