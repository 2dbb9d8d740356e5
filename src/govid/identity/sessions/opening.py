"""Issues sessions and their tokens after a login."""

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
"""The client id of sessions that begin with a login at govid itself."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A session and its refresh token; valid only after the commit."""

    session: Opened
    refresh_token: str

    def __repr__(self) -> str:
        """Name the session only (I9)."""
        return f"<IssuedTokens {self.session.session_id}>"


class Opening:
    """Creates sessions for authenticated account holders and signs their access tokens."""

    def __init__(
        self,
        sessions: Sessions,
        refresh_tokens: RefreshTokens,
        tokens: Tokens,
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

    async def once(self, tx: Transaction, account_id: UUID, acr: str) -> Opened:
        """Create a session with one access token; *tx* holds the account's row lock.

        The session lives as long as that token and has no shorter idle expiry.
        """
        lifetime = timedelta(seconds=self._single_token_seconds)
        return await self._create(tx, account_id, acr, lifetime=lifetime, idle=lifetime)

    async def renewable(self, tx: Transaction, account_id: UUID, acr: str) -> Grant:
        """Create a session with a refresh token; *tx* holds the account's row lock."""
        session = await self._create(tx, account_id, acr, lifetime=self._absolute, idle=self._idle)
        return await self.renew(tx, session)

    async def renew(self, tx: Transaction, session: Opened) -> Grant:
        """Issue the next refresh token of the session; the previous one must be consumed."""
        token = await self._refresh_tokens.issue(
            tx,
            session.session_id,
            client_id=session.client_id,
            expires_at=session.absolute_expires_at,
        )
        return Grant(session=session, refresh_token=token)

    def token(self, session: Opened) -> TokenView:
        """Return the response with the only token of a session without refresh."""
        return TokenView(access_token=self._sign(session, self._single_token_seconds))

    def tokens(self, issued: Grant) -> GrantView:
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

    def _sign(self, session: Opened, seconds: int) -> str:
        return self._tokens.issue(
            account_id=session.account_id,
            session_id=session.session_id,
            client_id=session.client_id,
            acr=session.acr,
            auth_time=session.auth_time,
            lifetime=seconds,
        )
