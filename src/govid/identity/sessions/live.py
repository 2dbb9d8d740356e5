"""The read at the head of every request: is this session alive, and whose is it?

Under load many requests ask this at once. Those that arrive while the connections are busy travel
together in one statement: each is still answered by a read that began after it asked, at a fifth
of the cost. Nothing is kept from one statement to the next.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from govid.bus import Database
from govid.bus.shared.account_status import AccountStatus

STATEMENTS_AT_ONCE = 2
"""One would let a single slow answer hold everybody up; more would carry fewer each."""

# Lookups by primary key, in one statement that commits by itself. Every condition of authority
# stands here, so that what ended a moment ago ends this request, in every process.
_COLUMNS = """
    a.email, a.identifier_type, a.identifier_value, a.phone_number, a.status, a.auth_provider,
    a.created_at, a.updated_at, s.last_seen_at < clock_timestamp() - interval '1 minute',
    a.assurance
"""
_ALIVE = f"""
    s.revoked_at IS NULL
    AND least(s.idle_expires_at, s.absolute_expires_at) > clock_timestamp()
    AND s.created_at > a.tokens_valid_after
    AND a.status NOT IN ('{AccountStatus.BLOCKED}', '{AccountStatus.CLOSED}')
"""
_ONE = f"""
    SELECT 1, {_COLUMNS}
    FROM identity.session s JOIN identity.account a ON a.id = s.account_id
    WHERE s.id = $1 AND s.account_id = $2 AND {_ALIVE}
"""  # noqa: S608 - put together from constants
_MANY = f"""
    SELECT asked.place, {_COLUMNS}
    FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS asked (session_id, account_id, place)
    JOIN identity.session s ON s.id = asked.session_id AND s.account_id = asked.account_id
    JOIN identity.account a ON a.id = s.account_id
    WHERE {_ALIVE}
"""  # noqa: S608 - put together from constants

Rows = Mapping[int, Sequence[Any]]


class _Batch:
    """The questions that will travel together; their places count from one."""

    __slots__ = ("accounts", "rows", "sessions")

    def __init__(self) -> None:
        self.sessions: list[UUID] = []
        self.accounts: list[UUID] = []
        self.rows: asyncio.Task[Rows]


class LiveSessions:
    """Finds sessions that are alive, and their accounts."""

    def __init__(self, database: Database) -> None:
        """Read from *database*, which need not be open yet."""
        self._database = database
        self._free = asyncio.Semaphore(STATEMENTS_AT_ONCE)
        self._next: _Batch | None = None

    async def find(self, session_id: UUID, account_id: UUID) -> Sequence[Any] | None:
        """Return the account's columns, or None unless the session lives and is the account's.

        The columns come after one of no meaning, in the order in which `Principal` has them; the
        last but one tells whether it is time to note that the session is in use.
        """
        batch = self._next
        if batch is None:
            batch = self._next = _Batch()
            batch.rows = asyncio.create_task(self._read(batch))
        batch.sessions.append(session_id)
        batch.accounts.append(account_id)
        place = len(batch.sessions)
        # Shielded: when one client hangs up, the others' answer is still on its way.
        return (await asyncio.shield(batch.rows)).get(place)

    async def _read(self, batch: _Batch) -> Rows:
        try:
            await self._free.acquire()
        finally:
            # From here on the batch is closed: an answer may only serve who asked before it.
            self._next = None
        try:
            return await self._fetch(batch)
        finally:
            self._free.release()

    async def _fetch(self, batch: _Batch) -> Rows:
        reads = self._database.reads
        if len(batch.sessions) == 1:
            row = await reads.fetchrow(_ONE, batch.sessions[0], batch.accounts[0])
            return {} if row is None else {1: row}
        rows = await reads.fetch(_MANY, batch.sessions, batch.accounts)
        return {row[0]: row for row in rows}
