"""Searches the audit log, page by page, so that any number of entries needs the same memory.

Personal values are not in the entries. They are found by their digests under every key of the log,
also after they were removed. An entry may have been changed by a superuser, so its content is read
without trust: it may be no JSON, or be nested more deeply than can be decoded.
"""

import ipaddress
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from govid.bus.audit.keys import AuditKeys
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.storage.sql import load_statements

QUERIES = load_statements("govid.bus.audit", "search.sql")
PAGE_ROWS = 500
_AFTER_ALL = 2**63 - 1


class EntryFilter(RedactedStruct, frozen=True, kw_only=True):
    """Which entries are searched for; None does not filter.

    `event` is the name of an event, or its beginning up to a full stop: `login.`. `operator`,
    `address` and `correlation_id` are personal values.
    """

    account_id: UUID | None = None
    event: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    operator: str | None = None
    address: str | None = None
    correlation_id: str | None = None


class FoundEntry(RedactedStruct, frozen=True, kw_only=True):
    """An entry as it is stored, and its leaf if it is sealed.

    `members` are those of the content, empty if it is no JSON object. `restricted` are the personal
    values that are still stored, empty unless they were asked for.
    """

    position: int
    id: UUID
    at: datetime
    event: str
    subject: UUID | None
    content: bytes
    mac: bytes
    index: int | None
    leaf_hash: bytes | None
    members: Mapping[str, Any]
    restricted: Mapping[str, Any] = {}

    repr_members: ClassVar[tuple[str, ...]] = ("position", "id")


class AuditSearch:
    """Reads entries through one connection."""

    def __init__(self, connection: Any, keys: AuditKeys) -> None:
        """Read through *connection*; *keys* make the digests of personal values."""
        self._connection = connection
        self._keys = keys

    async def find(
        self,
        wanted: EntryFilter,
        *,
        limit: int | None = None,
        newest_first: bool = False,
        with_restricted: bool = False,
    ) -> AsyncIterator[FoundEntry]:
        """Yield the entries that match *wanted*, at most *limit*, in the order of the log.

        An entry that commits during the search is not found if the search has passed its position.
        """
        digests = self._compute_digests(wanted)
        lowest = 0
        if wanted.since is not None:
            lowest = await self._connection.fetchval(QUERIES["first_position"], wanted.since)
        position = _AFTER_ALL if newest_first else lowest
        while limit is None or limit > 0:
            rows = await self._connection.fetch(
                QUERIES["newest" if newest_first else "oldest"],
                position,
                lowest,
                PAGE_ROWS if limit is None else min(limit, PAGE_ROWS),
                wanted.account_id,
                wanted.event,
                wanted.since,
                wanted.until,
                # Any one of the personal values; all of them are compared below.
                [one.encode() for one in next(iter(digests.values()))] if digests else None,
            )
            if not rows:
                return
            position = rows[-1]["position"]
            found = [one for one in map(_build_entry, rows) if _has_digests(one, digests)]
            if with_restricted:
                found = await self._add_restricted(found)
            for entry in found:
                yield entry
            limit = None if limit is None else limit - len(found)

    def _compute_digests(self, wanted: EntryFilter) -> Mapping[str, Collection[str]]:
        """Return the digests that each wanted personal value may have."""
        values = {
            "operator": [wanted.operator],
            "correlation_id": [wanted.correlation_id],
            "address": [wanted.address, _normalize_address(wanted.address)],
        }
        return {
            member: [
                digest
                for value in dict.fromkeys(variants)
                if value
                for digest in self._keys.digests(member, value)
            ]
            for member, variants in values.items()
            if variants[0] is not None
        }

    async def _add_restricted(self, entries: Sequence[FoundEntry]) -> list[FoundEntry]:
        rows = await self._connection.fetch(QUERIES["restricted"], [one.id for one in entries])
        values: dict[UUID, dict[str, Any]] = {}
        for row in rows:
            values.setdefault(row["entry_id"], {}).update(read_members(row["content"]))
        return [msgspec.structs.replace(one, restricted=values.get(one.id, {})) for one in entries]


def read_members(content: bytes | str) -> Mapping[str, Any]:
    """Return the members of the JSON object *content*; none if it is something else."""
    try:
        members = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _build_entry(row: Any) -> FoundEntry:
    return FoundEntry(
        position=row["position"],
        id=row["id"],
        at=row["at"],
        event=row["event"],
        subject=row["subject"],
        content=row["content"],
        mac=row["mac"],
        index=row["index"],
        leaf_hash=row["hash"],
        members=read_members(row["content"]),
    )


def _has_digests(entry: FoundEntry, digests: Mapping[str, Collection[str]]) -> bool:
    """Tell whether the content of *entry* has one of the *digests* of each member."""
    stored = entry.members.get("restricted")
    return not digests or (
        isinstance(stored, dict)
        and all(stored.get(member) in accepted for member, accepted in digests.items())
    )


def _normalize_address(address: str | None) -> str | None:
    """Return the usual spelling of a network address; None if it is not one."""
    try:
        return ipaddress.ip_address(address or "").compressed
    except ValueError:
        return None
