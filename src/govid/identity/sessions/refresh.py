"""Renewing a session: each refresh token is good for once, and a copy gives itself away.

Source: RFC 9700, section 4.14 (refresh token rotation).
"""

from datetime import timedelta

from govid.bus import Cause, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import RefreshReused
from govid.identity.errors import InvalidRefreshToken
from govid.identity.repository.refresh_tokens import Family, RefreshTokens
from govid.identity.repository.sessions import Sessions
from govid.identity.schemas import GrantView, Refresh
from govid.identity.sessions.ending import Ending
from govid.identity.sessions.opening import Grant, Opening
from govid.identity.settings import IdentitySettings

REUSED = "refresh_reuse"


class Renewal:
    """Renews sessions."""

    def __init__(
        self,
        uow: UnitOfWork,
        sessions: Sessions,
        refresh_tokens: RefreshTokens,
        opening: Opening,
        ending: Ending,
        settings: IdentitySettings,
    ) -> None:
        """Let a renewed session be idle for as long as *settings* say."""
        self._uow = uow
        self._sessions = sessions
        self._refresh_tokens = refresh_tokens
        self._opening = opening
        self._ending = ending
        self._idle = timedelta(seconds=settings.session_idle_seconds)

    @rerun_on_conflict
    async def renew(self, request: Refresh, cause: Cause) -> GrantView:
        """Return the next tokens of the session, and spend the refresh token.

        Raises:
            InvalidRefreshToken: nobody's, another client's, spent, or its session has ended.
        """
        # Raised after the commit: what a spent token brings about must not be rolled back.
        async with self._uow.begin(cause) as tx:
            grant = await self._next(tx, request)
        if grant is None:
            raise InvalidRefreshToken
        return self._opening.tokens(grant)

    async def _next(self, tx: Transaction, request: Refresh) -> Grant | None:
        token, client_id = request.refresh_token, request.client_id
        family = await self._refresh_tokens.family(tx, token)
        if family is None:
            return None
        # In the order of all writers: account, session, the rest.
        await self._sessions.lock_owner(tx, family.account_id, write=False)
        session = await self._sessions.hold(tx, family.session_id, of=family.account_id)
        if session is None:
            return None
        if await self._refresh_tokens.use(tx, token, client_id=client_id):
            await self._sessions.renew(tx, session.session_id, idle=self._idle)
            return await self._opening.renew(tx, session)
        if await self._refresh_tokens.was_used(tx, token, client_id=client_id):
            await self._betrayed(tx, family, client_id)
        return None

    async def _betrayed(self, tx: Transaction, family: Family, client_id: str) -> None:
        """End the session: its token is in two hands, and nobody can tell whose is the right one.

        A client that has sent one token twice by itself has to sign in again, too.
        """
        tx.emit(
            RefreshReused(
                account_id=family.account_id,
                session_id=family.session_id,
                client_id=client_id,
                timestamp=tx.now,
            )
        )
        await self._ending.revoke(tx, family.account_id, family.session_id, reason=REUSED)
