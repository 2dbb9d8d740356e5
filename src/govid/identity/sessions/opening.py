"""How a sign-in becomes a session, and a session becomes tokens."""

from datetime import timedelta
from uuid import UUID

import msgspec

from govid.bus import Transaction
from govid.bus.contracts import SessionCreated
from govid.identity.repository.refresh_tokens import RefreshTokens
from govid.identity.repository.sessions import Opened, Sessions
from govid.identity.schemas import GrantView, TokenView
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.access import Tokens

CLIENT_ID = "govid"
"""The client of whoever signs in at govid itself."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A session and the token that renews it. Worth nothing before the commit."""

    session: Opened
    refresh_token: str

    def __repr__(self) -> str:
        """Name the session only (I9)."""
        return f"<Grant {self.session.session_id}>"


class Opening:
    """Opens sessions for people who have just proven who they are, and signs their tokens."""

    def __init__(
        self,
        sessions: Sessions,
        refresh_tokens: RefreshTokens,
        tokens: Tokens,
        settings: IdentitySettings,
    ) -> None:
        """Let sessions and tokens live as long as *settings* say."""
        self._sessions = sessions
        self._refresh_tokens = refresh_tokens
        self._tokens = tokens
        self._once_seconds = settings.access_token_seconds
        self._token_seconds = settings.session_token_seconds
        self._idle = timedelta(seconds=settings.session_idle_seconds)
        self._absolute = timedelta(seconds=settings.session_absolute_seconds)

    async def once(self, tx: Transaction, account_id: UUID, acr: str) -> Opened:
        """Begin a session of the account, whose lock *tx* holds, for one token.

        It is as long as that token; being idle does not end it before.
        """
        life = timedelta(seconds=self._once_seconds)
        return await self._open(tx, account_id, acr, lifetime=life, idle=life)

    async def renewable(self, tx: Transaction, account_id: UUID, acr: str) -> Grant:
        """Begin a session of the account, whose lock *tx* holds, that can be renewed."""
        session = await self._open(tx, account_id, acr, lifetime=self._absolute, idle=self._idle)
        return await self.renew(tx, session)

    async def renew(self, tx: Transaction, session: Opened) -> Grant:
        """Give the session its next refresh token; the one before it must be spent."""
        token = await self._refresh_tokens.issue(
            tx,
            session.session_id,
            client_id=session.client_id,
            expires_at=session.absolute_expires_at,
        )
        return Grant(session=session, refresh_token=token)

    def token(self, session: Opened) -> TokenView:
        """Return the one token of a session that nothing renews."""
        return TokenView(access_token=self._signed(session, self._once_seconds))

    def tokens(self, grant: Grant) -> GrantView:
        """Return the tokens of a session that can be renewed."""
        return GrantView(
            access_token=self._signed(grant.session, self._token_seconds),
            expires_in=self._token_seconds,
            refresh_token=grant.refresh_token,
            session_id=grant.session.session_id,
        )

    async def _open(
        self,
        tx: Transaction,
        account_id: UUID,
        acr: str,
        *,
        lifetime: timedelta,
        idle: timedelta,
    ) -> Opened:
        session = await self._sessions.open(
            tx, account_id, client_id=CLIENT_ID, acr=acr, lifetime=lifetime, idle=idle
        )
        tx.emit(
            SessionCreated(
                account_id=account_id,
                session_id=session.session_id,
                client_id=session.client_id,
                acr=session.acr,
                timestamp=tx.now,
            )
        )
        return session

    def _signed(self, session: Opened, seconds: int) -> str:
        return self._tokens.issue(
            account_id=session.account_id,
            session_id=session.session_id,
            client_id=session.client_id,
            acr=session.acr,
            auth_time=session.auth_time,
            lifetime=seconds,
        )
