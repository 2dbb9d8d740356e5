"""Who is calling: the first thing that happens in every request with a token."""

import asyncpg

from govid.bus import Principal
from govid.identity.errors import AccountsUnreachable, InvalidToken
from govid.identity.sessions.live import LiveSessions
from govid.identity.tokens.access import Tokens

_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Authentication:
    """Finds the principal behind a token."""

    def __init__(self, sessions: LiveSessions, tokens: Tokens) -> None:
        """Believe *tokens* about who somebody is, and *sessions* about what that is worth."""
        self._sessions = sessions
        self._tokens = tokens

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of *token*, as the database has it at this moment.

        Raises:
            InvalidToken: the token is not believed, its session has ended, or its account is
                blocked or gone.
            AccountsUnreachable: the database did not answer; nobody passes unread.
        """
        verified = self._tokens.verify(token)
        try:
            row = await self._sessions.find(verified.session_id, verified.account_id)
        except _AWAY as error:
            raise AccountsUnreachable(retry_after_seconds=1) from error
        if row is None:
            raise InvalidToken
        # By position, without a loop: this is the hottest line of govid.
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
        )
