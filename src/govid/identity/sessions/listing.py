"""Lists the live sessions of an account."""

from uuid import UUID

from govid.bus import OperationContext, Page, Principal, UnitOfWork, rerun_on_conflict
from govid.identity.repository.sessions import SessionRepository
from govid.identity.schemas import SessionView


class SessionListing:
    """Lists the sessions of an account for its holder."""

    def __init__(self, uow: UnitOfWork, sessions: SessionRepository) -> None:
        """Read from *sessions*."""
        self._uow = uow
        self._sessions = sessions

    @rerun_on_conflict
    async def list_own(
        self, principal: Principal, cause: OperationContext, *, limit: int, after: UUID | None
    ) -> Page[SessionView]:
        """Return the live sessions of the principal, the oldest first."""
        async with self._uow.begin(cause) as tx:
            found = await self._sessions.fetch_live(
                tx, principal.account_id, limit=limit, after=after
            )
        views = [
            SessionView(
                id=one.id,
                client_id=one.client_id,
                created_at=one.created_at,
                last_seen_at=one.last_seen_at,
                expires_at=one.expires_at,
                current=one.id == principal.session_id,
            )
            for one in found
        ]
        return Page.from_items(views, limit)
