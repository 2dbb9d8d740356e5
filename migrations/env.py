"""Runs migrations: one at a time across replicas, each in a transaction of its own.

The caller hands the database's URL over as the Alembic option `sqlalchemy.url`; nothing is read
from the environment here.
"""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

# Any number will do as long as every replica uses the same one: "govid" in hexadecimal.
ADVISORY_LOCK = 0x676F766964


def migrate(connection: Connection) -> None:
    """Apply what is missing, while no other replica does."""
    # A migration that cannot get its lock in time must fail, not queue all traffic behind it.
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.execute(text("SET statement_timeout = '120s'"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.commit()
    context.configure(
        connection=connection,
        transaction_per_migration=True,
        version_table_schema="public",
        version_table="govid_version",
    )
    with context.begin_transaction():
        context.run_migrations()


async def online() -> None:
    """Connect and migrate."""
    engine = create_async_engine(
        context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool
    )
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


def offline() -> None:
    """Print the statements instead of running them (`govid migrate --sql`)."""
    context.configure(
        dialect_name="postgresql",
        transaction_per_migration=True,
        version_table_schema="public",
        version_table="govid_version",
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    asyncio.run(online())
