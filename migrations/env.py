"""Runs migrations: one at a time across replicas, each in a transaction of its own.

The caller hands the database's URL over as the attribute `database_url` of Alembic's configuration;
nothing is read from the environment here.

Each migration from 0020 on has a constant `compatible_from`: the number of the oldest schema whose
release still runs after this migration. It is stored in `public.govid_version`, where a release
that is older than the database reads whether it may run. A migration that only adds (a table, an
index, a nullable column or one with a default) repeats the number of the migration before it. One
that takes something away, or alters what an older release relies on, sets the number of the first
release that no longer needs it: expand in one release, contract in a later one. The fingerprint of
schema `bus` counts as relied on: what it lists may not be altered without raising the number.
"""

import asyncio
import time
from typing import Any

from alembic import context
from sqlalchemy import Connection, pool, text

from govid.bus.storage.connection import (
    TRUSTED_SEARCH_PATH,
    ConnectionFactory,
    session_settings,
)
from govid.bus.storage.database import create_engine
from govid.gateway.database_roles import find_roles
from govid.gateway.migrations import ADVISORY_LOCK, LOCK_MS

STATEMENT_MS = 120_000
POLL_SECONDS = 0.2


def store_compatibility(*, ctx: Any, step: Any, **_: Any) -> None:
    """Store `compatible_from` of the migration that was just applied, in its transaction."""
    number = getattr(step.up_revision.module, "compatible_from", None)
    if number is not None and step.is_upgrade:
        # A number of ours; `--sql` prints the statement, so it can carry no parameter.
        ctx.execute(f"UPDATE public.govid_version SET compatible_from = {int(number)}")  # noqa: S608


def restore_timeouts(*, ctx: Any, **_: Any) -> None:
    """Bound the statements of the next migration again, whatever this one has set."""
    ctx.execute(f"SET lock_timeout = {LOCK_MS}")
    ctx.execute(f"SET statement_timeout = {STATEMENT_MS}")


def migrate(connection: Connection) -> None:
    """Apply what is missing, while no other replica does."""
    # Asked for again and again: a statement that waits keeps a snapshot, and an index that is being
    # built without a lock waits for all snapshots, so two replicas would wait for each other.
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}):
        connection.commit()
        time.sleep(POLL_SECONDS)
    connection.commit()
    context.configure(
        connection=connection,
        transaction_per_migration=True,
        version_table_schema="public",
        version_table="govid_version",
        on_version_apply=(store_compatibility, restore_timeouts),
    )
    with context.begin_transaction():
        context.run_migrations()


async def find_owner(url: str) -> str | None:
    """Return the role that has to own what migrations create, None for the role of *url*."""
    connection = await ConnectionFactory(
        url, application="govid migrate", settings=TRUSTED_SEARCH_PATH
    ).connect()
    try:
        roles = await find_roles(connection)
    finally:
        await connection.close()
    return None if roles is None else roles.owner


async def online() -> None:
    """Connect and migrate, as the owner if the database has roles (ADR-0039)."""
    settings = session_settings(
        "govid migrate",
        statement_ms=STATEMENT_MS,
        lock_ms=LOCK_MS,
        idle_in_transaction_ms=STATEMENT_MS,
    )
    settings |= TRUSTED_SEARCH_PATH
    url = context.config.attributes["database_url"]
    if (owner := await find_owner(url)) is not None:
        settings["role"] = owner
    factory = ConnectionFactory(url, application="govid migrate", settings=settings)
    engine = create_engine(factory, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


def offline() -> None:
    """Print the statements instead of running them (`govid migrate --sql`)."""
    context.configure(
        dialect_name="postgresql",
        # With the driver's own style each percent sign of a function would be printed twice.
        dialect_opts={"paramstyle": "named"},
        transaction_per_migration=True,
        version_table_schema="public",
        version_table="govid_version",
        on_version_apply=(store_compatibility, restore_timeouts),
    )
    with context.begin_transaction():
        context.execute(f"SET search_path = {TRUSTED_SEARCH_PATH['search_path']}")
        context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    asyncio.run(online())
