"""The tables of the NHS module: accounts, patients and appointments.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create schema `nhs`."""
    op.execute("CREATE SCHEMA nhs")
    op.execute("""
        CREATE TABLE nhs.account (
            account_id uuid NOT NULL,
            blocked_at timestamptz,
            CONSTRAINT account_pkey PRIMARY KEY (account_id)
        ) WITH (fillfactor = 80)
    """)
    op.execute("CREATE SEQUENCE nhs.patient_number AS bigint START 10001")
    op.execute("""
        CREATE TABLE nhs.patient (
            id              uuid NOT NULL,
            patient_id      text NOT NULL DEFAULT 'P' || nextval('nhs.patient_number'),
            account_id      uuid NOT NULL,
            name            text NOT NULL,
            nhs_number      text NOT NULL,
            medical_history text,
            source          text NOT NULL,
            created_at      timestamptz NOT NULL,
            updated_at      timestamptz NOT NULL,
            CONSTRAINT patient_pkey PRIMARY KEY (id),
            CONSTRAINT patient_patient_id_key UNIQUE (patient_id),
            CONSTRAINT patient_source_is_known CHECK (source IN ('citizen', 'registry')),
            CONSTRAINT patient_nhs_number_is_canonical CHECK
                (nhs_number ~ '^([0-9]{10}|NHS[0-9]{9})$')
        )
    """)
    op.execute("CREATE INDEX patient_account ON nhs.patient (account_id, id)")
    # The registry knows one person behind an account; what a citizen files by hand may be more.
    op.execute("""
        CREATE UNIQUE INDEX patient_registry_key ON nhs.patient (account_id)
        WHERE source = 'registry'
    """)
    op.execute("""
        CREATE TABLE nhs.appointment (
            id                   uuid NOT NULL,
            account_id           uuid NOT NULL,
            patient_identifier   text NOT NULL,
            requested_datetime   timestamptz NOT NULL,
            doctor_specialty     text NOT NULL,
            reason               text,
            status               text NOT NULL,
            confirmed_datetime   timestamptz,
            confirmation_details text,
            rejection_reason     text,
            created_at           timestamptz NOT NULL,
            updated_at           timestamptz NOT NULL,
            CONSTRAINT appointment_pkey PRIMARY KEY (id),
            CONSTRAINT appointment_status_is_known CHECK (status IN
                ('REQUESTED', 'CONFIRMED', 'CANCELLED', 'REJECTED', 'COMPLETED')),
            CONSTRAINT appointment_confirmed_has_a_time CHECK
                (status NOT IN ('CONFIRMED', 'COMPLETED') OR confirmed_datetime IS NOT NULL),
            CONSTRAINT appointment_rejected_has_a_reason CHECK
                ((status = 'REJECTED') = (rejection_reason IS NOT NULL))
        ) WITH (fillfactor = 80)
    """)
    # Only what may still be cancelled is ever looked for by its account.
    op.execute("""
        CREATE INDEX appointment_open ON nhs.appointment (account_id)
        WHERE status IN ('REQUESTED', 'CONFIRMED')
    """)


def downgrade() -> None:
    """Remove schema `nhs` and everything in it."""
    op.execute("DROP SCHEMA nhs CASCADE")
