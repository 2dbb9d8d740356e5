"""Authenticates each request that carries an access token."""

from collections.abc import Callable
from uuid import UUID

from govid.bus import DATABASE_UNAVAILABLE, Principal
from govid.identity.errors import AccountsUnreachable, InvalidToken
from govid.identity.sessions.live import SessionReader
from govid.identity.tokens.access import AccessTokens


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
        self._fetch = sessions.fetch
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
            row = await self._fetch(verified.session_id, verified.account_id)
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
