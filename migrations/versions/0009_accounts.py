"""Keep what it takes to change a password or an address, and to close an account.

Revision ID: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add letters and the links in them, confirmed addresses and closed accounts."""
    op.execute("ALTER TABLE identity.account ADD COLUMN email_confirmed_at timestamptz")
    op.execute("ALTER TABLE identity.account ADD COLUMN closed_at timestamptz")
    _replace(
        "account_status_is_known",
        """status IN ('registered', 'pending_verification', 'verified', 'verification_failed',
                      'blocked', 'closed')""",
    )
    # A closed account keeps its identifier for a time, so that no other may claim it at once.
    _replace(
        "account_registered_has_no_identifier",
        """status = 'closed'
           OR (coalesce(status_before, status) = 'registered') = (identifier_value IS NULL)""",
    )
    _replace(
        "account_email_provider_has_password",
        "auth_provider <> 'email' OR password_hash IS NOT NULL OR status = 'closed'",
    )
    _add("account_closed_is_dated", "(status = 'closed') = (closed_at IS NOT NULL)")
    _add(
        "account_closed_is_empty",
        """status <> 'closed' OR (email IS NULL AND phone_number IS NULL AND password_hash IS NULL
                                  AND email_confirmed_at IS NULL)""",
    )
    _add("account_confirmed_has_email", "email_confirmed_at IS NULL OR email IS NOT NULL")
    # What the cleanup looks for: claims never confirmed, and closed accounts' identifiers.
    op.execute("""
        CREATE INDEX account_claims ON identity.account (created_at)
        WHERE status IN ('pending_verification', 'verification_failed')
    """)
    op.execute("""
        CREATE INDEX account_held ON identity.account (closed_at)
        WHERE status = 'closed' AND identifier_value IS NOT NULL
    """)
    # An e-mail without an account is never sent: it is stored so that a request for an unknown
    # address takes the same work.
    op.execute("""
        CREATE TABLE identity.letter (
            id         uuid NOT NULL,
            account_id uuid,
            kind       text NOT NULL,
            address    text,
            written_at timestamptz NOT NULL,
            CONSTRAINT letter_pkey PRIMARY KEY (id),
            CONSTRAINT letter_account_fkey FOREIGN KEY (account_id)
                REFERENCES identity.account (id) ON DELETE CASCADE,
            CONSTRAINT letter_is_addressed CHECK ((account_id IS NULL) = (address IS NULL)),
            CONSTRAINT letter_kind_is_known CHECK (kind IN
                ('reset', 'password_changed', 'email_confirmation', 'email_change',
                 'email_change_requested', 'email_changed', 'account_closed'))
        )
    """)
    op.execute("CREATE INDEX letter_account ON identity.letter (account_id)")
    op.execute("""
        CREATE TABLE identity.link (
            hash       bytea NOT NULL,
            account_id uuid NOT NULL,
            purpose    text NOT NULL,
            address    text NOT NULL,
            issued_at  timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            used_at    timestamptz,
            CONSTRAINT link_pkey PRIMARY KEY (hash),
            CONSTRAINT link_account_fkey FOREIGN KEY (account_id)
                REFERENCES identity.account (id) ON DELETE CASCADE,
            CONSTRAINT link_hash_is_sha256 CHECK (octet_length(hash) = 32),
            CONSTRAINT link_purpose_is_known CHECK (purpose IN ('reset', 'email')),
            CONSTRAINT link_expires_after_it_was_issued CHECK (expires_at > issued_at)
        )
    """)
    op.execute("CREATE INDEX link_account ON identity.link (account_id)")
    op.execute("CREATE INDEX link_expiry ON identity.link (expires_at)")


def downgrade() -> None:
    """Remove them. Closed accounts are deleted: the older schema has no place for them."""
    op.execute("DROP TABLE identity.link")
    op.execute("DROP TABLE identity.letter")
    op.execute("DROP INDEX identity.account_held")
    op.execute("DROP INDEX identity.account_claims")
    op.execute("DELETE FROM identity.account WHERE status = 'closed'")
    op.execute("""
        ALTER TABLE identity.account
            DROP CONSTRAINT account_confirmed_has_email,
            DROP CONSTRAINT account_closed_is_empty,
            DROP CONSTRAINT account_closed_is_dated
    """)
    _replace(
        "account_email_provider_has_password",
        "auth_provider <> 'email' OR password_hash IS NOT NULL",
    )
    _replace(
        "account_registered_has_no_identifier",
        "(coalesce(status_before, status) = 'registered') = (identifier_value IS NULL)",
    )
    _replace(
        "account_status_is_known",
        """status IN ('registered', 'pending_verification', 'verified', 'verification_failed',
                      'blocked')""",
    )
    op.execute("ALTER TABLE identity.account DROP COLUMN closed_at")
    op.execute("ALTER TABLE identity.account DROP COLUMN email_confirmed_at")


def _replace(name: str, condition: str) -> None:
    op.execute(f"ALTER TABLE identity.account DROP CONSTRAINT {name}")
    _add(name, condition)


def _add(name: str, condition: str) -> None:
    op.execute(f"ALTER TABLE identity.account ADD CONSTRAINT {name} CHECK ({condition})")
