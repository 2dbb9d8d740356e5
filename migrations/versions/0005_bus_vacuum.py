"""Vacuum the bus's tables as their use asks for.

Partitions get their own settings when they are made; these are for what was there before.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Inserted, read while fresh, and never changed.
INSERTED = "autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02"
# Deleted by age in batches, so that a batch is what vacuum should wait for and not a fifth of all.
PURGED = f"autovacuum_vacuum_scale_factor = 0.02, {INSERTED}"
# One row a key, updated by each event: a fifth of it dead would be a table twice as long to read.
UPDATED = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000"

TABLES = {
    "event_default": INSERTED,
    "receipt_default": INSERTED,
    "inbox": PURGED,
    "stream": UPDATED,
}


def upgrade() -> None:
    """Set what autovacuum waits for."""
    for table, settings in TABLES.items():
        op.execute(f"ALTER TABLE bus.{table} SET ({settings})")


def downgrade() -> None:
    """Let it wait for what it waits for elsewhere."""
    for table, settings in TABLES.items():
        names = ", ".join(setting.partition("=")[0].strip() for setting in settings.split(","))
        op.execute(f"ALTER TABLE bus.{table} RESET ({names})")
