"""Issues sessions and their tokens after a login."""

from datetime import timedelta
from uuid import UUID

import msgspec

from govid.bus import Transaction
from govid.bus.contracts import SessionCreated
from govid.identity.repository.refresh_tokens import RefreshTokenRepository
from govid.identity.repository.sessions import LiveSession, SessionRepository
from govid.identity.schemas import GrantView, TokenView
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.access import AccessTokens

CLIENT_ID = "govid"
"""The client id of sessions that begin with a login at govid itself."""


class IssuedTokens(msgspec.Struct, frozen=True, kw_only=True):
    """A session and its refresh token; valid only after the commit."""

    session: LiveSession
    refresh_token: str

    def __repr__(self) -> str:
        """Name the session only (I9)."""
        return f"<IssuedTokens {self.session.session_id}>"


class SessionIssuer:
    """Creates sessions for authenticated account holders and signs their access tokens."""

    def __init__(
        self,
        sessions: SessionRepository,
        refresh_tokens: RefreshTokenRepository,
        tokens: AccessTokens,
        settings: IdentitySettings,
    ) -> None:
        """Use the lifetimes of *settings* for sessions and tokens."""
        self._sessions = sessions
        self._refresh_tokens = refresh_tokens
        self._tokens = tokens
        self._single_token_seconds = settings.access_token_seconds
        self._refreshable_token_seconds = settings.session_token_seconds
        self._idle = timedelta(seconds=settings.session_idle_seconds)
        self._absolute = timedelta(seconds=settings.session_absolute_seconds)

    async def issue(self, tx: Transaction, account_id: UUID, acr: str) -> LiveSession:
        """Create a session with one access token; *tx* holds the account's row lock.

        The session lives as long as that token and has no shorter idle expiry.
        """
        lifetime = timedelta(seconds=self._single_token_seconds)
        return await self._create(tx, account_id, acr, lifetime=lifetime, idle=lifetime)

    async def issue_refreshable(self, tx: Transaction, account_id: UUID, acr: str) -> IssuedTokens:
        """Create a session with a refresh token; *tx* holds the account's row lock."""
        session = await self._create(tx, account_id, acr, lifetime=self._absolute, idle=self._idle)
        return await self.renew(tx, session)

    async def renew(self, tx: Transaction, session: LiveSession) -> IssuedTokens:
        """Issue the next refresh token of the session; the previous one must be consumed."""
        token = await self._refresh_tokens.issue(
            tx,
            session.session_id,
            client_id=session.client_id,
            expires_at=session.absolute_expires_at,
        )
        return IssuedTokens(session=session, refresh_token=token)

    def build_token_view(self, session: LiveSession) -> TokenView:
        """Return the response with the only token of a session without refresh."""
        return TokenView(access_token=self._sign(session, self._single_token_seconds))

    def build_grant_view(self, issued: IssuedTokens) -> GrantView:
        """Return the response with the tokens of a refreshable session."""
        return GrantView(
            access_token=self._sign(issued.session, self._refreshable_token_seconds),
            expires_in=self._refreshable_token_seconds,
            refresh_token=issued.refresh_token,
            session_id=issued.session.session_id,
        )

    async def _create(
        self,
        tx: Transaction,
        account_id: UUID,
        acr: str,
        *,
        lifetime: timedelta,
        idle: timedelta,
    ) -> LiveSession:
        session = await self._sessions.insert(
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

    def _sign(self, session: LiveSession, seconds: int) -> str:
        return self._tokens.issue(
            account_id=session.account_id,
            session_id=session.session_id,
            client_id=session.client_id,
            acr=session.acr,
            auth_time=session.auth_time,
            lifetime=seconds,
        )
