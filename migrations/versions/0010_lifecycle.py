"""Keep every notice of death and every operator command on an account, and their outcomes.

Revision ID: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and to each account how far its history has come."""
    op.execute("""
        ALTER TABLE identity.account
            ADD COLUMN life_event_at timestamptz,
            ADD COLUMN contra_indicators text[] NOT NULL DEFAULT '{}'
    """)
    op.execute("""
        CREATE TABLE identity.life_event (
            id                uuid NOT NULL,
            kind              text NOT NULL,
            identifier_type   text,
            identifier_digest text,
            account_id        uuid,
            occurred_at       timestamptz,
            received_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
            outcome           text NOT NULL,
            settled_at        timestamptz,
            operator          text,
            stated_reason     text,
            CONSTRAINT life_event_pkey PRIMARY KEY (id),
            CONSTRAINT life_event_account_fkey FOREIGN KEY (account_id)
                REFERENCES identity.account (id) ON DELETE SET NULL,
            CONSTRAINT life_event_kind_is_known CHECK (kind IN ('death', 'block', 'restore')),
            CONSTRAINT life_event_identifier_type_is_known CHECK
                (identifier_type IN ('NIN', 'NHS')),
            CONSTRAINT life_event_outcome_is_known CHECK (outcome IN
                ('applied', 'without_effect', 'ignored_stale', 'parked', 'unclaimed', 'review',
                 'illegal')),
            CONSTRAINT life_event_has_a_time CHECK
                (occurred_at IS NOT NULL OR outcome = 'illegal'),
            CONSTRAINT life_event_has_an_identifier CHECK
                (identifier_digest IS NOT NULL OR kind <> 'death' OR outcome = 'illegal'),
            CONSTRAINT life_event_parked_is_open CHECK
                ((outcome = 'parked') = (settled_at IS NULL)),
            CONSTRAINT life_event_act_is_stated CHECK
                ((kind = 'death') = (stated_reason IS NULL) AND
                 (kind = 'death') = (operator IS NULL))
        ) WITH (fillfactor = 90)
    """)
    op.execute("""
        CREATE INDEX life_event_account ON identity.life_event (account_id, occurred_at)
        WHERE account_id IS NOT NULL
    """)
    op.execute("""
        CREATE INDEX life_event_identifier ON identity.life_event (identifier_digest, occurred_at)
        WHERE identifier_digest IS NOT NULL
    """)
    op.execute("""
        CREATE INDEX life_event_parked ON identity.life_event (occurred_at)
        WHERE outcome = 'parked'
    """)
    op.execute("""
        CREATE TABLE identity.review_item (
            id            uuid NOT NULL,
            reason        text NOT NULL,
            life_event_id uuid NOT NULL,
            account_id    uuid,
            state         text NOT NULL DEFAULT 'open',
            opened_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT review_item_pkey PRIMARY KEY (id),
            CONSTRAINT review_item_key UNIQUE NULLS NOT DISTINCT
                (life_event_id, reason, account_id),
            CONSTRAINT review_item_life_event_fkey FOREIGN KEY (life_event_id)
                REFERENCES identity.life_event (id),
            CONSTRAINT review_item_account_fkey FOREIGN KEY (account_id)
                REFERENCES identity.account (id) ON DELETE SET NULL,
            CONSTRAINT review_item_reason_is_known CHECK (reason IN
                ('another_account', 'far_future', 'notice_before_registration')),
            CONSTRAINT review_item_state_is_known CHECK
                (state IN ('open', 'approved', 'rejected', 'expired'))
        )
    """)
    op.execute("""
        CREATE INDEX review_item_account ON identity.review_item (account_id)
        WHERE account_id IS NOT NULL
    """)
    # Why it was cancelled: what a block took away can be listed when the block turns out wrong.
    op.execute("""
        ALTER TABLE nhs.appointment
            ADD COLUMN cancellation_reason text,
            ADD CONSTRAINT appointment_reason_is_of_a_cancellation CHECK
                (cancellation_reason IS NULL OR status = 'CANCELLED')
    """)


def downgrade() -> None:
    """Remove them; what notices said is lost, what they did to accounts stays."""
    op.execute("ALTER TABLE nhs.appointment DROP COLUMN cancellation_reason")
    op.execute("DROP TABLE identity.review_item")
    op.execute("DROP TABLE identity.life_event")
    op.execute("""
        ALTER TABLE identity.account DROP COLUMN life_event_at, DROP COLUMN contra_indicators
    """)
