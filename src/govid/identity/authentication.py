"""Who is calling: the first thing that happens in every request with a token."""

import asyncpg

from govid.bus import Database, Principal
from govid.identity.errors import AccountsUnreachable, InvalidToken
from govid.identity.tokens import Tokens

# Two lookups by primary key in one statement, which commits by itself. Every condition of
# authority stands here, so that what ended a moment ago ends this request, in every process.
_LIVE = """
    SELECT a.email, a.identifier_type, a.identifier_value, a.phone_number, a.status,
           a.auth_provider, a.created_at, a.updated_at
    FROM identity.session s JOIN identity.account a ON a.id = s.account_id
    WHERE s.id = $1 AND s.account_id = $2
      AND s.revoked_at IS NULL
      AND s.absolute_expires_at > clock_timestamp()
      AND s.created_at > a.tokens_valid_after
      AND a.status <> 'blocked'
"""

_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Authentication:
    """Finds the principal behind a token."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        """Read from *database*, which need not be open yet."""
        self._database = database
        self._tokens = tokens

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of *token*, as the database has it at this moment.

        Raises:
            InvalidToken: the token is not believed, its session has ended, or its account is
                blocked or gone.
            AccountsUnreachable: the database did not answer; nobody passes unread.
        """
        verified = self._tokens.verify(token)
        account_id, session_id = verified.account_id, verified.session_id
        try:
            row = await self._database.reads.fetchrow(_LIVE, session_id, account_id)
        except _AWAY as error:
            raise AccountsUnreachable(retry_after_seconds=1) from error
        if row is None:
            raise InvalidToken
        # By position: this is the hottest line of govid.
        return Principal(
            account_id=account_id,
            session_id=session_id,
            email=row[0],
            identifier_type=row[1],
            identifier_value=row[2],
            phone_number=row[3],
            status=row[4],
            auth_provider=row[5],
            created_at=row[6],
            updated_at=row[7],
        )
