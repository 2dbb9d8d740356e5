"""Who is calling: the first thing that happens in every request with a token."""

from collections.abc import Callable
from uuid import UUID

from govid.bus import DATABASE_UNAVAILABLE, Principal
from govid.identity.errors import AccountsUnreachable, InvalidToken
from govid.identity.sessions.live import LiveSessions
from govid.identity.tokens.access import Tokens


class Authentication:
    """Finds the principal behind a token."""

    def __init__(
        self,
        sessions: LiveSessions,
        tokens: Tokens,
        seen: Callable[[UUID], None],
    ) -> None:
        """Verify signatures by *tokens*, and read each session's state by *sessions*.

        *seen* is called with each session whose last use was recorded more than a minute ago.
        """
        self._find = sessions.find
        self._tokens = tokens
        self._seen = seen

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of *token*, as the database has it at this moment.

        Raises:
            InvalidToken: the token is not believed, its session has ended, or its account is
                blocked or gone.
            AccountsUnreachable: the database did not answer; nobody passes unread.
        """
        verified = self._tokens.verify(token)
        try:
            row = await self._find(verified.session_id, verified.account_id)
        except DATABASE_UNAVAILABLE as error:
            raise AccountsUnreachable(retry_after_seconds=1) from error
        if row is None:
            raise InvalidToken
        if row[9]:
            self._seen(verified.session_id)
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
            assurance=row[10],
        )
