"""Who is calling: the first thing that happens in every request with a token."""

from collections.abc import Callable
from uuid import UUID

import asyncpg

from govid.bus import Principal
from govid.identity.errors import AccountsUnreachable, InvalidToken
from govid.identity.sessions.remembered import Reader
from govid.identity.tokens.access import Tokens

_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Authentication:
    """Finds the principal behind a token."""

    def __init__(
        self,
        sessions: Reader,
        tokens: Tokens,
        seen: Callable[[UUID], None],
        remembered: Reader | None = None,
    ) -> None:
        """Believe *tokens* about who somebody is, and *sessions* about what that is worth.

        Requests that change nothing may be answered from what is *remembered*. *seen* hears of
        sessions whose last use was noted a minute ago.
        """
        self._find = sessions.find
        self._find_to_read = (remembered or sessions).find
        self._tokens = tokens
        self._seen = seen

    async def authenticate(self, token: str, *, writes: bool = True) -> Principal:
        """Return the principal of *token*, as the database has it at this moment.

        What *writes* is never let in by memory.

        Raises:
            InvalidToken: the token is not believed, its session has ended, or its account is
                blocked or gone.
            AccountsUnreachable: the database did not answer; nobody passes unread.
        """
        verified = self._tokens.verify(token)
        try:
            find = self._find if writes else self._find_to_read
            row = await find(verified.session_id, verified.account_id)
        except _AWAY as error:
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
