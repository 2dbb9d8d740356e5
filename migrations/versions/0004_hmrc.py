"""The table of the HMRC module: tax records.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create schema `hmrc`."""
    op.execute("CREATE SCHEMA hmrc")
    op.execute("CREATE SEQUENCE hmrc.tax_record_number AS bigint START 10001")
    op.execute("""
        CREATE TABLE hmrc.tax_record (
            id         uuid NOT NULL,
            tax_id     text NOT NULL DEFAULT 'T' || nextval('hmrc.tax_record_number'),
            account_id uuid NOT NULL,
            name       text NOT NULL,
            tax_number text NOT NULL,
            tax_year   text NOT NULL,
            tax_amount numeric(15, 2) NOT NULL,
            created_at timestamptz NOT NULL,
            CONSTRAINT tax_record_pkey PRIMARY KEY (id),
            CONSTRAINT tax_record_tax_id_key UNIQUE (tax_id),
            CONSTRAINT tax_record_tax_number_is_canonical CHECK (tax_number ~ '^[0-9]{10}$'),
            CONSTRAINT tax_record_tax_year_is_a_year CHECK (tax_year ~ '^[0-9]{4}-[0-9]{4}$'),
            CONSTRAINT tax_record_tax_amount_is_a_number CHECK (tax_amount <> 'NaN')
        )
    """)
    op.execute("CREATE INDEX tax_record_account ON hmrc.tax_record (account_id, id)")


def downgrade() -> None:
    """Remove schema `hmrc` and everything in it."""
    op.execute("DROP SCHEMA hmrc CASCADE")
