"""Refresh-token rotation: each refresh token is valid once, and reuse revokes the session.

Source: RFC 9700, section 4.14 (refresh token rotation).
"""

from datetime import timedelta

from govid.bus import OperationContext, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import RefreshReused
from govid.identity.errors import InvalidRefreshToken
from govid.identity.repository.refresh_tokens import RefreshTokenRepository, TokenFamily
from govid.identity.repository.sessions import SessionRepository
from govid.identity.schemas import GrantView, Refresh
from govid.identity.sessions.ending import SessionRevoker
from govid.identity.sessions.opening import IssuedTokens, SessionIssuer
from govid.identity.settings import IdentitySettings

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
    async def rotate(self, request: Refresh, cause: OperationContext) -> GrantView:
        """Return the next tokens of the session and consume the refresh token.

        Raises:
            InvalidRefreshToken: the token is unknown, of another client, used or expired, or its
                session has ended.
        """
        # Raised after the commit, because the revocation after a reuse must not be rolled back.
        async with self._uow.begin(cause) as tx:
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
            return await self._session_issuer.renew(tx, session)
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
