"""Issues sessions and their tokens; refresh-token rotation.

Each refresh token is valid once. A used one is kept as long as its session
(`RefreshTokenRepository` in `repository/refresh_tokens.py`). If the same client presents it again
while the session is live, that is reuse, and the session is revoked. A request with it by another
client is refused without any other effect.

Source: RFC 9700, section 4.14 (refresh token rotation).
"""

from datetime import timedelta
from uuid import UUID

import msgspec

from govid.bus import OperationContext, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.events import RefreshReused, SessionCreated
from govid.identity.errors import InvalidRefreshToken
from govid.identity.repository.refresh_tokens import RefreshTokenRepository, TokenFamily
from govid.identity.repository.sessions import LiveSession, SessionRepository
from govid.identity.schemas import GrantView, Refresh, TokenView
from govid.identity.sessions.management import SessionRevoker
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.access_tokens import AccessTokens

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
        return await self.renew_tokens(tx, session)

    async def renew_tokens(self, tx: Transaction, session: LiveSession) -> IssuedTokens:
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
        return TokenView(access_token=self._sign_access_token(session, self._single_token_seconds))

    def build_grant_view(self, issued: IssuedTokens) -> GrantView:
        """Return the response with the tokens of a refreshable session."""
        return GrantView(
            access_token=self._sign_access_token(issued.session, self._refreshable_token_seconds),
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

    def _sign_access_token(self, session: LiveSession, seconds: int) -> str:
        return self._tokens.issue(
            account_id=session.account_id,
            session_id=session.session_id,
            client_id=session.client_id,
            acr=session.acr,
            auth_time=session.auth_time,
            lifetime=seconds,
        )


REUSE_REASON = "refresh_reuse"


class RefreshTokenRotation:
    """Exchanges a refresh token for new tokens of its session."""

    def __init__(
        self,
        uow: UnitOfWork,
        sessions: SessionRepository,
        refresh_tokens: RefreshTokenRepository,
        session_issuer: SessionIssuer,
        session_revoker: SessionRevoker,
        settings: IdentitySettings,
    ) -> None:
        """Use the idle lifetime of *settings*; create tokens by *session_issuer*."""
        self._uow = uow
        self._sessions = sessions
        self._refresh_tokens = refresh_tokens
        self._session_issuer = session_issuer
        self._session_revoker = session_revoker
        self._idle = timedelta(seconds=settings.session_idle_seconds)

    @rerun_on_conflict
    async def rotate(self, request: Refresh, context: OperationContext) -> GrantView:
        """Return the next tokens of the session and consume the refresh token.

        Raises:
            InvalidRefreshToken: the token is unknown, of another client, used or expired, or its
                session has ended.
        """
        # Raised after the commit, because the revocation after a reuse must not be rolled back.
        async with self._uow.begin(context) as tx:
            issued = await self._issue_next(tx, request)
        if issued is None:
            raise InvalidRefreshToken
        return self._session_issuer.build_grant_view(issued)

    async def _issue_next(self, tx: Transaction, request: Refresh) -> IssuedTokens | None:
        token, client_id = request.refresh_token, request.client_id
        family = await self._refresh_tokens.find_family(tx, token)
        if family is None:
            return None
        # All writers lock in the same order: account, session, other rows.
        await self._sessions.lock_account(tx, family.account_id, write=False)
        session = await self._sessions.lock_live(
            tx, family.session_id, account_id=family.account_id
        )
        if session is None:
            return None
        if await self._refresh_tokens.consume(tx, token, client_id=client_id):
            await self._sessions.extend_idle(tx, session.session_id, idle=self._idle)
            return await self._session_issuer.renew_tokens(tx, session)
        if await self._refresh_tokens.was_used(tx, token, client_id=client_id):
            await self._record_reuse(tx, family, client_id)
        return None

    async def _record_reuse(self, tx: Transaction, family: TokenFamily, client_id: str) -> None:
        """Revoke the session: two clients hold its token, and the genuine one is not known.

        A client that has sent the same token twice must also log in again.
        """
        tx.emit(
            RefreshReused(
                account_id=family.account_id,
                session_id=family.session_id,
                client_id=client_id,
                timestamp=tx.now,
            )
        )
        await self._session_revoker.revoke(
            tx, family.account_id, family.session_id, reason=REUSE_REASON
        )
