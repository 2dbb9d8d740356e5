"""Keep what citizens claim of themselves, each attempt to prove it, and its outcome.

Revision ID: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and to each account how well its holder is known.

    The level is computed by the database, so that no change of a status can forget it. The column
    is stored, which rewrites the table once.
    """
    op.execute("""
        ALTER TABLE identity.account
            ADD COLUMN evidence_strength smallint NOT NULL DEFAULT 0,
            ADD COLUMN evidence_validity smallint NOT NULL DEFAULT 0,
            ADD COLUMN assurance text NOT NULL GENERATED ALWAYS AS (
                CASE WHEN status <> 'verified' OR contra_indicators <> '{}' THEN 'P0'
                     WHEN evidence_strength >= 2 AND evidence_validity >= 2 THEN 'P2'
                     ELSE 'P1' END) STORED,
            ADD CONSTRAINT account_evidence_is_scored CHECK
                (evidence_strength BETWEEN 0 AND 4 AND evidence_validity BETWEEN 0 AND 4)
    """)
    op.execute("""
        CREATE TABLE identity.claimed_facts (
            account_id   uuid NOT NULL,
            sealed       bytea NOT NULL,
            claimed_at   timestamptz NOT NULL,
            confirmed_at timestamptz,
            CONSTRAINT claimed_facts_pkey PRIMARY KEY (account_id),
            CONSTRAINT claimed_facts_account_fkey FOREIGN KEY (account_id)
                REFERENCES identity.account (id) ON DELETE CASCADE
        )
    """)
    # `counts`: an attempt is spent from the moment it is reserved, unless it is given back.
    op.execute("""
        CREATE TABLE identity.verification_attempt (
            id                uuid NOT NULL,
            account_id        uuid,
            identifier_type   text NOT NULL,
            identifier_digest text NOT NULL,
            has_facts         boolean NOT NULL,
            reserved_at       timestamptz NOT NULL,
            outcome           text,
            settled_at        timestamptz,
            counts            boolean NOT NULL GENERATED ALWAYS AS
                (outcome IS NULL OR outcome IN ('match', 'mismatch', 'deceased')) STORED,
            CONSTRAINT verification_attempt_pkey PRIMARY KEY (id),
            CONSTRAINT verification_attempt_account_fkey FOREIGN KEY (account_id)
                REFERENCES identity.account (id) ON DELETE SET NULL,
            CONSTRAINT verification_attempt_identifier_type_is_known CHECK
                (identifier_type IN ('NIN', 'NHS')),
            CONSTRAINT verification_attempt_outcome_is_known CHECK (outcome IN
                ('match', 'mismatch', 'deceased', 'insufficient', 'without_effect')),
            CONSTRAINT verification_attempt_settled_is_dated CHECK
                ((outcome IS NULL) = (settled_at IS NULL))
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX verification_attempt_open ON identity.verification_attempt (account_id)
        WHERE outcome IS NULL
    """)
    op.execute("""
        CREATE INDEX verification_attempt_account ON identity.verification_attempt (account_id)
    """)
    op.execute("""
        CREATE INDEX verification_attempt_identifier
        ON identity.verification_attempt (identifier_digest) WHERE counts
    """)
    op.execute("""
        CREATE TABLE identity.evidence (
            request_id        uuid NOT NULL,
            account_id        uuid NOT NULL,
            attempt_id        uuid,
            identifier_type   text NOT NULL,
            outcome           text NOT NULL,
            method            text,
            strength          smallint NOT NULL,
            validity          smallint NOT NULL,
            transaction       text,
            contra_indicators text[] NOT NULL,
            gathered_at       timestamptz NOT NULL,
            CONSTRAINT evidence_pkey PRIMARY KEY (request_id),
            CONSTRAINT evidence_account_fkey FOREIGN KEY (account_id)
                REFERENCES identity.account (id) ON DELETE CASCADE,
            CONSTRAINT evidence_attempt_fkey FOREIGN KEY (attempt_id)
                REFERENCES identity.verification_attempt (id) ON DELETE SET NULL,
            CONSTRAINT evidence_outcome_is_known CHECK (outcome IN
                ('match', 'mismatch', 'deceased', 'insufficient')),
            CONSTRAINT evidence_is_scored CHECK
                (strength BETWEEN 0 AND 4 AND validity BETWEEN 0 AND 4)
        )
    """)
    op.execute("CREATE INDEX evidence_account ON identity.evidence (account_id)")
    op.execute("CREATE INDEX evidence_attempt ON identity.evidence (attempt_id)")
    # What a department says of a holder's death is looked at by a person, without any notice.
    op.execute("ALTER TABLE identity.review_item ALTER COLUMN life_event_id DROP NOT NULL")
    _reasons("'another_account', 'far_future', 'notice_before_registration', 'deceased'")
    op.execute("""
        ALTER TABLE identity.review_item ADD CONSTRAINT review_item_has_a_notice CHECK
            ((life_event_id IS NULL) = (reason = 'deceased'))
    """)


def downgrade() -> None:
    """Remove them; who is verified stays so."""
    op.execute("ALTER TABLE identity.review_item DROP CONSTRAINT review_item_has_a_notice")
    op.execute("DELETE FROM identity.review_item WHERE life_event_id IS NULL")
    _reasons("'another_account', 'far_future', 'notice_before_registration'")
    op.execute("ALTER TABLE identity.review_item ALTER COLUMN life_event_id SET NOT NULL")
    op.execute("DROP TABLE identity.evidence")
    op.execute("DROP TABLE identity.verification_attempt")
    op.execute("DROP TABLE identity.claimed_facts")
    op.execute("""
        ALTER TABLE identity.account
            DROP COLUMN assurance, DROP COLUMN evidence_strength, DROP COLUMN evidence_validity
    """)


def _reasons(known: str) -> None:
    op.execute("ALTER TABLE identity.review_item DROP CONSTRAINT review_item_reason_is_known")
    op.execute(f"""
        ALTER TABLE identity.review_item
            ADD CONSTRAINT review_item_reason_is_known CHECK (reason IN ({known}))
    """)
