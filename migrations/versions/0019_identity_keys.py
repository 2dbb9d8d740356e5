"""Let one number be held by one account: eight characters identify a National Insurance number.

Revision ID: 0019
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

KEY = "CASE WHEN identifier_type = 'NIN' THEN left(identifier_value, 8) ELSE identifier_value END"

REASONS = "'another_account', 'far_future', 'notice_before_registration', 'deceased', 'restricted'"


def upgrade() -> None:
    """Add what tells the owner of a number from others, and the keys of digests apart.

    Each step may be repeated: the index is built without a lock, so a registration by the earlier
    release can come between the steps, and the migration is then run once more.
    """
    op.execute("""
        ALTER TABLE identity.account
            ADD COLUMN IF NOT EXISTS is_identifier_shared boolean NOT NULL DEFAULT false
    """)
    op.execute("ALTER TABLE identity.life_event ADD COLUMN IF NOT EXISTS identifier_key_id text")
    op.execute("""
        ALTER TABLE identity.verification_attempt ADD COLUMN IF NOT EXISTS identifier_key_id text
    """)
    # A keyed check value tells a wrong key without telling the key. `first_used_at` says under
    # which key rows without a key's name were written: the first.
    op.execute("""
        CREATE TABLE IF NOT EXISTS identity.key_check (
            purpose       text NOT NULL,
            key_id        text NOT NULL,
            first_used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT key_check_pkey PRIMARY KEY (purpose, key_id),
            CONSTRAINT key_check_purpose_is_known CHECK (purpose IN ('encryption', 'pseudonym'))
        )
    """)
    _reviews(
        f"{REASONS}, 'identifier_shared', 'email_shared'",
        "'deceased', 'restricted', 'identifier_shared', 'email_shared'",
    )
    _give_keys_to_their_owners()
    with op.get_context().autocommit_block():
        # A build waits for every transaction that is older than itself, and blocks no session.
        op.execute("SET lock_timeout = 0")
        op.execute("SET statement_timeout = 0")
        # An index that an earlier attempt could not finish is there, and of no use.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS identity.account_identity_key")
        op.execute(f"""
            CREATE UNIQUE INDEX CONCURRENTLY account_identity_key
            ON identity.account (identifier_type, ({KEY}))
            WHERE identifier_value IS NOT NULL AND NOT is_identifier_shared
        """)


def _give_keys_to_their_owners() -> None:
    """Mark accounts whose number another account owns: the verified one, else the oldest.

    They keep sign-in and data, are not trusted (a contra-indicator), and a person looks at each.
    A closed account has no holder to look at.
    """
    op.execute(f"""
        WITH ranked AS (
            SELECT id, status, row_number() OVER (
                PARTITION BY identifier_type, {KEY}
                ORDER BY status = 'closed', 'verified' NOT IN (status, coalesce(status_before, '')),
                         created_at, id) AS place
            FROM identity.account
            WHERE identifier_value IS NOT NULL AND NOT is_identifier_shared
        ), marked AS (
            UPDATE identity.account a
            SET is_identifier_shared = true,
                contra_indicators = CASE WHEN a.status = 'closed' THEN a.contra_indicators
                    ELSE array_append(a.contra_indicators, 'identifier_shared') END
            FROM ranked WHERE ranked.id = a.id AND ranked.place > 1
            RETURNING a.id, a.status
        )
        INSERT INTO identity.review_item (id, reason, account_id)
        SELECT gen_random_uuid(), 'identifier_shared', id FROM marked WHERE status <> 'closed'
        ON CONFLICT DO NOTHING
    """)  # noqa: S608 - put together from constants


def downgrade() -> None:
    """Remove it. Accounts that share a number hold it each, as before."""
    op.execute("DROP INDEX identity.account_identity_key")
    op.execute("""
        UPDATE identity.account
        SET contra_indicators = array_remove(contra_indicators, 'identifier_shared')
        WHERE is_identifier_shared
    """)
    op.execute("""
        DELETE FROM identity.review_item WHERE reason IN ('identifier_shared', 'email_shared')
    """)
    _reviews(REASONS, "'deceased', 'restricted'")
    op.execute("DROP TABLE identity.key_check")
    op.execute("ALTER TABLE identity.verification_attempt DROP COLUMN identifier_key_id")
    op.execute("ALTER TABLE identity.life_event DROP COLUMN identifier_key_id")
    op.execute("ALTER TABLE identity.account DROP COLUMN is_identifier_shared")


def _reviews(known: str, without_notice: str) -> None:
    for name, condition in (
        ("review_item_reason_is_known", f"reason IN ({known})"),
        ("review_item_has_a_notice", f"(life_event_id IS NULL) = (reason IN ({without_notice}))"),
    ):
        op.execute(f"ALTER TABLE identity.review_item DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"""
            ALTER TABLE identity.review_item ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID
        """)
        # In a transaction of its own, so that no session is blocked while all rows are read.
        with op.get_context().autocommit_block():
            op.execute(f"ALTER TABLE identity.review_item VALIDATE CONSTRAINT {name}")
