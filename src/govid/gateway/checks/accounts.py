"""Checks what stored accounts and the audit log need: their keys, and open reviews."""

from typing import Any

import asyncpg

from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.signed_notes import InvalidNote, open_note
from govid.bus.storage.connection import (
    DatabaseUnreachable,
    InvalidConnectionUrl,
    SessionRefused,
)
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.checks.connections import build_check_factory
from govid.gateway.settings import Settings
from govid.identity import configured_keys, count_open_reviews, find_key_problems

_FIRST_AND_LAST_NOTE = """
    (SELECT note FROM audit.checkpoint ORDER BY size LIMIT 1)
    UNION (SELECT note FROM audit.checkpoint ORDER BY size DESC LIMIT 1)
"""
_UNREACHABLE = (InvalidConnectionUrl, DatabaseUnreachable, SessionRefused, *DRIVER_ERRORS)


async def account_problems(connection: Any, settings: Settings) -> list[str]:
    """Return a problem for each key that does not match this database."""
    if not settings.identity.pseudonym_key:
        # A missing key is reported by `checks/settings.py`.
        return []
    try:
        return await find_key_problems(connection, configured_keys(settings.identity))
    except asyncpg.InsufficientPrivilegeError:
        # `checks/database.py` reports the missing privilege.
        return []


async def audit_key_problems(connection: Any, settings: Settings) -> list[str]:
    """Return a problem if no configured key has signed the first or the newest checkpoint."""
    if not settings.bus.audit.key:
        return []
    try:
        rows = await connection.fetch(_FIRST_AND_LAST_NOTE)
        verifiers = AuditKeys.from_settings(settings.bus.audit).note_verifiers
        for row in rows:
            open_note(row["note"], verifiers)
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return []
    except InvalidNote:
        text = (
            "GOVID_AUDIT_KEY is not the key that signed this audit log, or GOVID_AUDIT_ORIGIN is "
            "another: entries would look forged; add the former key to GOVID_OLD_AUDIT_KEYS"
        )
        return [text]
    return []


async def account_warnings(settings: Settings) -> list[str]:
    """Return warnings about accounts; none if the database is unavailable."""
    if not settings.bus.database_url:
        return []
    try:
        factory = build_check_factory(settings.bus.database_url)
        connection = await factory.connect()
    except _UNREACHABLE:
        return []
    try:
        reviews = await count_open_reviews(connection)
    except asyncpg.PostgresError:
        return []
    finally:
        await connection.close()
    if not reviews:
        return []
    named = ", ".join(f"{reason} {items}" for reason, items in reviews.items())
    return [f'reviews are open: {named}; docs/runbook.md, "Reviews", says what to do']
