"""Let appointments hold slots of a practice, each slot once; let a citizen's retry be known.

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the slots, the answers to keys of retries, and versions of appointments."""
    op.execute("""
        ALTER TABLE nhs.appointment
            ADD COLUMN version bigint NOT NULL DEFAULT 1,
            ADD COLUMN service text
    """)
    op.execute("CREATE INDEX appointment_account ON nhs.appointment (account_id, id)")
    # A row is a hold on a slot, from the appointment request until the practice knows that it is
    # over. The key makes it impossible that the same slot is held twice.
    op.execute("""
        CREATE TABLE nhs.held_slot (
            service        text NOT NULL,
            slot_id        text NOT NULL,
            appointment_id uuid NOT NULL,
            starts_at      timestamptz NOT NULL,
            ends_at        timestamptz NOT NULL,
            is_agreed      boolean NOT NULL,
            CONSTRAINT held_slot_pkey PRIMARY KEY (service, slot_id),
            CONSTRAINT held_slot_appointment_fkey FOREIGN KEY (appointment_id)
                REFERENCES nhs.appointment (id) ON DELETE CASCADE,
            CONSTRAINT held_slot_lasts CHECK (starts_at < ends_at)
        )
    """)
    op.execute("CREATE INDEX held_slot_appointment ON nhs.held_slot (appointment_id)")
    op.execute("""
        CREATE TABLE nhs.booking_answer (
            account_id      uuid NOT NULL,
            idempotency_key text NOT NULL,
            request_digest  bytea NOT NULL,
            answer          text NOT NULL,
            created_at      timestamptz NOT NULL,
            CONSTRAINT booking_answer_pkey PRIMARY KEY (account_id, idempotency_key)
        )
    """)


def downgrade() -> None:
    """Remove them. Appointments stay; that practices hold slots for them is forgotten."""
    op.execute("DROP TABLE nhs.booking_answer")
    op.execute("DROP TABLE nhs.held_slot")
    op.execute("DROP INDEX nhs.appointment_account")
    op.execute("ALTER TABLE nhs.appointment DROP COLUMN service, DROP COLUMN version")
