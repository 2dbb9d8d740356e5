"""How sessions end before their time: by their owner, or with something that happens to them."""

from collections.abc import Sequence
from uuid import UUID

from govid.bus import Cause, Principal, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import SessionRevoked
from govid.identity.errors import InvalidToken, SessionNotFound
from govid.identity.repository.sessions import Sessions

LOGOUT = "logout"
LOGOUT_ALL = "logout_all"
ENDED = "ended"


class Ending:
    """Ends sessions. Every request reads its session, so an end counts from its commit on."""

    def __init__(self, uow: UnitOfWork, sessions: Sessions) -> None:
        """End sessions of *sessions* in transactions of *uow*."""
        self._uow = uow
        self._sessions = sessions

    @rerun_on_conflict
    async def logout(self, principal: Principal, cause: Cause) -> None:
        """End the session of this request.

        Raises:
            InvalidToken: it has ended meanwhile.
        """
        async with self._uow.begin(cause) as tx:
            await self.confirm(tx, principal, write=False)
            await self.revoke(tx, principal.account_id, principal.session_id, reason=LOGOUT)

    @rerun_on_conflict
    async def end(self, principal: Principal, session_id: UUID, cause: Cause) -> None:
        """End another session of the same account.

        Raises:
            SessionNotFound: there is no such session, it has ended, or it is somebody else's.
            InvalidToken: the session of this request has ended meanwhile.
        """
        async with self._uow.begin(cause) as tx:
            # To write, as two sessions that end each other would wait for each other.
            await self.confirm(tx, principal, write=True)
            if await self._sessions.hold(tx, session_id, of=principal.account_id) is None:
                raise SessionNotFound
            await self.revoke(tx, principal.account_id, session_id, reason=ENDED)

    @rerun_on_conflict
    async def logout_all(self, principal: Principal, cause: Cause) -> None:
        """End every session of the account, this one too, and all that is about to be opened.

        Raises:
            InvalidToken: the session of this request has ended meanwhile.
        """
        async with self._uow.begin(cause) as tx:
            await self.confirm(tx, principal, write=True)
            await self.end_all(tx, principal.account_id, reason=LOGOUT_ALL)

    async def confirm(self, tx: Transaction, principal: Principal, *, write: bool) -> None:
        """Lock the caller's account, and make sure that they may still act.

        With *write* the transaction will change the account. What was true when the request came
        in may have ended before its transaction began; from here on it cannot.

        Raises:
            InvalidToken: the session has ended meanwhile.
        """
        await self._sessions.lock_owner(tx, principal.account_id, write=write)
        if await self._sessions.hold(tx, principal.session_id, of=principal.account_id) is None:
            raise InvalidToken

    async def end_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> None:
        """Let every token and session of the account be dead when *tx* commits.

        *tx* holds the account's lock, to write. For whatever makes old sign-ins worthless: a new
        password, a reset, a block, a closure.
        """
        await self._sessions.invalidate(tx, account_id)
        await self.revoke_all(tx, account_id, reason=reason)

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> None:
        """Revoke the sessions of an account whose tokens *tx* has invalidated by itself."""
        ended = await self._sessions.revoke_all(tx, account_id, reason=reason)
        self._ended(tx, account_id, ended, reason)

    async def revoke(
        self, tx: Transaction, account_id: UUID, session_id: UUID, *, reason: str
    ) -> None:
        """Revoke one session, whose account *tx* has locked."""
        if await self._sessions.revoke(tx, session_id, reason=reason):
            self._ended(tx, account_id, [session_id], reason)

    def _ended(
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
