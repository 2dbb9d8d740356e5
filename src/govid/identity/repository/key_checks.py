"""Stores which keys this database was used with, and counts rows that need an older one.

Only a keyed check value is stored. Rows without a key id were written under the first key.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from govid.bus.shared.crypto import KeyPurpose, compute_key_id
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.settings import IdentitySettings

_PURPOSES: tuple[KeyPurpose, ...] = ("encryption", "pseudonym")

_KNOWN = "SELECT key_id FROM identity.key_check WHERE purpose = $1 ORDER BY first_used_at, key_id"
_INSERT = """
    INSERT INTO identity.key_check (purpose, key_id) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""
_DROP = "DELETE FROM identity.key_check WHERE purpose = $1 AND key_id <> $2"
_ROWS = """
    SELECT identifier_key_id AS key_id, count(*) AS items FROM (
        SELECT identifier_key_id FROM identity.life_event WHERE identifier_digest IS NOT NULL
        UNION ALL
        SELECT identifier_key_id FROM identity.verification_attempt WHERE counts
    ) AS digests GROUP BY identifier_key_id
"""


class ConfiguredKeys(RedactedStruct, frozen=True, kw_only=True):
    """The keys that are configured, each list newest first."""

    encryption: tuple[bytes, ...]
    pseudonym: tuple[bytes, ...]

    def key_ids(self, purpose: KeyPurpose) -> list[str]:
        """Return the ids of the keys of *purpose*, newest first."""
        keys = self.encryption if purpose == "encryption" else self.pseudonym
        return [compute_key_id(key, purpose) for key in keys if key]


def configured_keys(settings: IdentitySettings) -> ConfiguredKeys:
    """Return the keys that *settings* configure."""
    return ConfiguredKeys(
        encryption=tuple(key for key in settings.encryption_keys if key),
        pseudonym=tuple(key for key in settings.pseudonym_keys if key),
    )


class KeyUsage(msgspec.Struct, frozen=True, kw_only=True):
    """A pseudonym key, whether it is configured, and how many rows need it."""

    key_id: str
    state: str
    rows: int


async def record_keys(connection: Any, keys: ConfiguredKeys) -> None:
    """Store the ids of the newest keys, if no key is missing; *connection* is of `asyncpg`."""
    try:
        if await find_key_problems(connection, keys):
            return
        await _insert_ids(connection, keys)
    except asyncpg.UndefinedTableError:
        # The schema is older than this release; the readiness check reports it.
        return


async def _insert_ids(connection: Any, keys: ConfiguredKeys) -> None:
    for purpose in _PURPOSES:
        ids = keys.key_ids(purpose)
        known_ids = await _fetch_known_ids(connection, purpose)
        # At first the oldest is stored first, because rows without a key id need that one.
        for key_id in reversed(ids) if not known_ids else ids[:1]:
            await connection.execute(_INSERT, purpose, key_id)


async def find_key_problems(connection: Any, keys: ConfiguredKeys) -> list[str]:
    """Return a sentence for each configured key that is wrong for this database.

    A database of a release without check values accepts all keys.
    """
    try:
        known_ids = {purpose: await _fetch_known_ids(connection, purpose) for purpose in _PURPOSES}
    except asyncpg.UndefinedTableError:
        return []
    problems = []
    if set(known_ids["encryption"]) - set(keys.key_ids("encryption")):
        problems.append(
            "GOVID_KEY_ENCRYPTION_KEY is not the key that this database was used with: set the"
            " former one as GOVID_OLD_KEY_ENCRYPTION_KEY until `govid keys reencrypt` has ended"
        )
    configured = set(keys.key_ids("pseudonym"))
    missing = set(known_ids["pseudonym"]) - configured
    if missing and not configured & set(known_ids["pseudonym"]):
        problems.append(
            "GOVID_PSEUDONYM_KEY is not the key that this database was used with: notices, attempts"
            " and locks would not be found; add the former one to GOVID_OLD_PSEUDONYM_KEYS"
        )
    elif missing:
        rows = await _count_rows(connection, known_ids["pseudonym"])
        needed = sum(rows.get(key_id, 0) for key_id in missing)
        if needed:
            problems.append(
                f"GOVID_OLD_PSEUDONYM_KEYS lacks a key that {needed} rows need: `govid keys status`"
            )
    return problems


async def fetch_pseudonym_usage(connection: Any, keys: ConfiguredKeys) -> Sequence[KeyUsage]:
    """Return the pseudonym keys that are configured or known, newest first."""
    ids = keys.key_ids("pseudonym")
    known_ids = await _fetch_known_ids(connection, "pseudonym")
    rows = await _count_rows(connection, known_ids or ids[-1:])
    states = {key_id: "newest" if not n else "older" for n, key_id in enumerate(ids)}
    return [
        KeyUsage(key_id=key_id, state=states.get(key_id, "missing"), rows=rows.get(key_id, 0))
        for key_id in (*ids, *(key_id for key_id in known_ids if key_id not in states))
    ]


async def delete_older_encryption_keys(connection: Any, keys: ConfiguredKeys) -> None:
    """Delete the ids of older encryption keys, which no row of this database needs any more."""
    await connection.execute(_DROP, "encryption", keys.key_ids("encryption")[0])


async def _fetch_known_ids(connection: Any, purpose: str) -> list[str]:
    return [row["key_id"] for row in await connection.fetch(_KNOWN, purpose)]


async def _count_rows(connection: Any, known_ids: Sequence[str]) -> Mapping[str, int]:
    """Return the number of rows by key id; rows without one belong to the first known key."""
    rows: dict[str, int] = {}
    for row in await connection.fetch(_ROWS):
        key_id = row["key_id"] or next(iter(known_ids), "")
        rows[key_id] = rows.get(key_id, 0) + row["items"]
    return rows
