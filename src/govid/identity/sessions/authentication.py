"""Authenticates each request that carries an access token.

The session and account of the token are read at every request. Requests that arrive while the
connections are busy share one statement. Each is still answered by a read that began after the
request, at a fifth of the cost. Nothing is cached between statements.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from govid.bus import DATABASE_UNAVAILABLE, Database, Principal
from govid.bus.shared.contract import AccountStatus
from govid.identity.errors import AccountsUnreachable, InvalidToken
from govid.identity.tokens.access_tokens import AccessTokens

MAX_CONCURRENT_STATEMENTS = 2
"""With one, a single slow answer would delay all requests; with more, batches would be smaller."""

# Lookups by primary key, in one statement that commits by itself. It holds every condition of a
# valid session, so that a revocation takes effect on the next request in every process.
_COLUMNS = """
    a.email, a.identifier_type, a.identifier_value, a.phone_number, a.status, a.auth_provider,
    a.created_at, a.updated_at, s.last_seen_at < clock_timestamp() - interval '1 minute',
    a.assurance
"""
_LIVE = f"""
    s.revoked_at IS NULL
    AND least(s.idle_expires_at, s.absolute_expires_at) > clock_timestamp()
    AND s.created_at > a.tokens_valid_after
    AND a.status NOT IN ('{AccountStatus.BLOCKED}', '{AccountStatus.CLOSED}')
"""
_SELECT_ONE = f"""
    SELECT 1, {_COLUMNS}
    FROM identity.session s JOIN identity.account a ON a.id = s.account_id
    WHERE s.id = $1 AND s.account_id = $2 AND {_LIVE}
"""  # noqa: S608 - put together from constants
_SELECT_MANY = f"""
    SELECT requested.position, {_COLUMNS}
    FROM unnest($1::uuid[], $2::uuid[])
        WITH ORDINALITY AS requested (session_id, account_id, position)
    JOIN identity.session s
        ON s.id = requested.session_id AND s.account_id = requested.account_id
    JOIN identity.account a ON a.id = s.account_id
    WHERE {_LIVE}
"""  # noqa: S608 - put together from constants

Rows = Mapping[int, Sequence[Any]]


class _Batch:
    """Lookups that share one statement; their positions count from one."""

    __slots__ = ("accounts", "rows", "sessions")

    def __init__(self) -> None:
        self.sessions: list[UUID] = []
        self.accounts: list[UUID] = []
        self.rows: asyncio.Task[Rows]


class SessionReader:
    """Fetches live sessions and their accounts."""

    def __init__(self, database: Database) -> None:
        """Read from *database*, which may still be closed."""
        self._database = database
        self._free_statements = asyncio.Semaphore(MAX_CONCURRENT_STATEMENTS)
        self._next_batch: _Batch | None = None

    async def fetch(self, session_id: UUID, account_id: UUID) -> Sequence[Any] | None:
        """Return the account's columns, or None unless the session is live and the account's own.

        The first column is unused. The others have the order of the fields of `Principal`, except
        that the last but one tells whether the last use must be recorded again.
        """
        batch = self._next_batch
        if batch is None:
            batch = self._next_batch = _Batch()
            batch.rows = asyncio.create_task(self._read(batch))
        batch.sessions.append(session_id)
        batch.accounts.append(account_id)
        position = len(batch.sessions)
        # Shielded, because the other requests of the batch still wait if one is cancelled.
        return (await asyncio.shield(batch.rows)).get(position)

    async def _read(self, batch: _Batch) -> Rows:
        try:
            await self._free_statements.acquire()
        finally:
            # The batch is closed here: a read may only answer requests that came before it.
            self._next_batch = None
        try:
            return await self._fetch(batch)
        finally:
            self._free_statements.release()

    async def _fetch(self, batch: _Batch) -> Rows:
        reads = self._database.reads
        if len(batch.sessions) == 1:
            row = await reads.fetchrow(_SELECT_ONE, batch.sessions[0], batch.accounts[0])
            return {} if row is None else {1: row}
        rows = await reads.fetch(_SELECT_MANY, batch.sessions, batch.accounts)
        return {row[0]: row for row in rows}


class TokenAuthentication:
    """Returns the principal of an access token."""

    def __init__(
        self,
        sessions: SessionReader,
        tokens: AccessTokens,
        on_use: Callable[[UUID], None],
    ) -> None:
        """Verify signatures by *tokens* and read the state of each session by *sessions*.

        *on_use* is called with each session whose last use was recorded more than a minute ago.
        """
        self._fetch_session = sessions.fetch
        self._tokens = tokens
        self._on_use = on_use

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of *token*, as stored in the database at this moment.

        Raises:
            InvalidToken: the token is not valid, its session has ended, or its account is blocked
                or closed.
            AccountsUnreachable: the database did not answer; no request passes without the read.
        """
        verified = self._tokens.verify(token)
        try:
            row = await self._fetch_session(verified.session_id, verified.account_id)
        except DATABASE_UNAVAILABLE as error:
            raise AccountsUnreachable(retry_after_seconds=1) from error
        if row is None:
            raise InvalidToken
        if row[9]:
            self._on_use(verified.session_id)
        # By position and without a loop, because this runs in every authenticated request.
        return Principal(
            account_id=verified.account_id,
            session_id=verified.session_id,
            email=row[1],
            identifier_type=row[2],
            identifier_value=row[3],
            phone_number=row[4],
            status=row[5],
            auth_provider=row[6],
            created_at=row[7],
            updated_at=row[8],
            assurance=row[10],
        )
