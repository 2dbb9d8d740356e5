"""Checks what the stored accounts need: reviews that wait for a person."""

import asyncpg

from govid.bus.storage.connection import (
    ConnectionFactory,
    DatabaseUnreachable,
    InvalidConnectionUrl,
    SessionRefused,
)
from govid.bus.storage.errors import DATABASE_UNAVAILABLE
from govid.gateway.settings import Settings
from govid.identity import open_reviews

_UNREACHABLE = (InvalidConnectionUrl, DatabaseUnreachable, SessionRefused, *DATABASE_UNAVAILABLE)


async def account_warnings(settings: Settings) -> list[str]:
    """Return what an operator should know of the accounts; nothing if the database cannot tell."""
    if not settings.bus.database_url:
        return []
    factory = ConnectionFactory(settings.bus.database_url, application="govid check")
    try:
        connection = await factory.open()
    except _UNREACHABLE:
        return []
    try:
        reviews = await open_reviews(connection)
    except asyncpg.PostgresError:
        return []
    finally:
        await connection.close()
    if not reviews:
        return []
    named = ", ".join(f"{reason} {items}" for reason, items in reviews.items())
    return [f'reviews are open: {named}; docs/runbook.md, "Reviews", says what to do']
