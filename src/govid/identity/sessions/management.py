"""Session management: logout, revocation, and the session list of an account holder."""

from collections.abc import Sequence
from uuid import UUID

from govid.bus import OperationContext, Page, Principal, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.events import SessionRevoked
from govid.identity.errors import InvalidToken, SessionNotFound
from govid.identity.repository.sessions import SessionRepository
from govid.identity.schemas import SessionView

LOGOUT = "logout"
LOGOUT_ALL = "logout_all"
REVOKED = "ended"


class SessionRevoker:
    """Revokes sessions. Every request reads its session, so a revocation counts from its commit."""

    def __init__(self, uow: UnitOfWork, sessions: SessionRepository) -> None:
        """Revoke rows of *sessions* in transactions of *uow*."""
        self._uow = uow
        self._sessions = sessions

    @rerun_on_conflict
    async def logout(self, principal: Principal, context: OperationContext) -> None:
        """Revoke the session of this request.

        Raises:
            InvalidToken: the session has ended meanwhile.
        """
        async with self._uow.begin(context) as tx:
            await self.require_live_session(tx, principal, write=False)
            await self.revoke(tx, principal.account_id, principal.session_id, reason=LOGOUT)

    @rerun_on_conflict
    async def revoke_other(
        self, principal: Principal, session_id: UUID, context: OperationContext
    ) -> None:
        """Revoke another session of the same account.

        Raises:
            SessionNotFound: the session does not exist, has ended, or is of another account.
            InvalidToken: the session of this request has ended meanwhile.
        """
        async with self._uow.begin(context) as tx:
            # A write lock, because two sessions that revoke each other would deadlock.
            await self.require_live_session(tx, principal, write=True)
            if (
                await self._sessions.lock_live(tx, session_id, account_id=principal.account_id)
                is None
            ):
                raise SessionNotFound
            await self.revoke(tx, principal.account_id, session_id, reason=REVOKED)

    @rerun_on_conflict
    async def logout_all(self, principal: Principal, context: OperationContext) -> None:
        """Revoke every session of the account, including this one and those being created now.

        Raises:
            InvalidToken: the session of this request has ended meanwhile.
        """
        async with self._uow.begin(context) as tx:
            await self.require_live_session(tx, principal, write=True)
            await self.invalidate_all(tx, principal.account_id, reason=LOGOUT_ALL)

    async def require_live_session(
        self, tx: Transaction, principal: Principal, *, write: bool
    ) -> None:
        """Lock the account of the principal and check that its session is still live.

        With *write*, the transaction will change the account. The session may have ended between
        the authentication of the request and this transaction; after the lock it cannot end.

        Raises:
            InvalidToken: the session has ended meanwhile.
        """
        await self._sessions.lock_account(tx, principal.account_id, write=write)
        if (
            await self._sessions.lock_live(
                tx, principal.session_id, account_id=principal.account_id
            )
            is None
        ):
            raise InvalidToken

    async def invalidate_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> None:
        """Invalidate every token and revoke every session of the account.

        The caller must hold the account's row lock for writing in *tx*. It is meant for changes
        after which old logins must not count: a new password, a reset, a block, a closure.
        """
        await self._sessions.invalidate_tokens(tx, account_id)
        await self.revoke_all(tx, account_id, reason=reason)

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> None:
        """Revoke the sessions of an account whose tokens *tx* has already invalidated."""
        revoked = await self._sessions.revoke_all(tx, account_id, reason=reason)
        self._emit_revoked(tx, account_id, revoked, reason)

    async def revoke(
        self, tx: Transaction, account_id: UUID, session_id: UUID, *, reason: str
    ) -> None:
        """Revoke one session; *tx* holds the row lock of its account."""
        if await self._sessions.revoke(tx, session_id, reason=reason):
            self._emit_revoked(tx, account_id, [session_id], reason)

    def _emit_revoked(
        self, tx: Transaction, account_id: UUID, session_ids: Sequence[UUID], reason: str
    ) -> None:
        if session_ids:
            tx.emit(
                SessionRevoked(
                    account_id=account_id,
                    session_ids=session_ids,
                    reason=reason,
                    timestamp=tx.now,
                )
            )


class SessionListing:
    """Lists the sessions of an account for its holder."""

    def __init__(self, uow: UnitOfWork, sessions: SessionRepository) -> None:
        """Read from *sessions*."""
        self._uow = uow
        self._sessions = sessions

    @rerun_on_conflict
    async def list_own(
        self, principal: Principal, context: OperationContext, *, limit: int, after: UUID | None
    ) -> Page[SessionView]:
        """Return the live sessions of the principal, the oldest first."""
        async with self._uow.begin(context) as tx:
            sessions = await self._sessions.fetch_live(
                tx, principal.account_id, limit=limit, after=after
            )
        views = [
            SessionView(
                id=session.id,
                client_id=session.client_id,
                created_at=session.created_at,
                last_seen_at=session.last_seen_at,
                expires_at=session.expires_at,
                current=session.id == principal.session_id,
            )
            for session in sessions
        ]
        return Page.from_items(views, limit)
