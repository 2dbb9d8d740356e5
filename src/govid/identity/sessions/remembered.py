"""The sessions that were found alive a moment ago: `GOVID_REVOCATION_CHECK=cache`.

Exact in the process that ends a session; the others hear of it, and what they did not hear they
forget within a second. Whoever cannot be sure to hear asks the database, as without this.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

AGE_SECONDS = 1.0
REMEMBERED = 10_000


class Reader(Protocol):
    """Finds sessions that are alive."""

    async def find(self, session_id: UUID, account_id: UUID) -> Sequence[Any] | None:
        """Return the columns of the session's account, or None unless it is alive."""


class _Found(msgspec.Struct, frozen=True):
    account_id: UUID
    row: Sequence[Any]
    asked_at: float


class Remembered:
    """Remembers what a reader has found, for a second."""

    def __init__(
        self,
        sessions: Reader,
        hears: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Believe the memory only while this process *hears* what others have ended."""
        self._sessions = sessions
        self._hears = hears
        self._clock = clock
        self._found: OrderedDict[UUID, _Found] = OrderedDict()
        self._forgotten = 0

    async def find(self, session_id: UUID, account_id: UUID) -> Sequence[Any] | None:
        """Return what the reader finds, or has found."""
        now, hears = self._clock(), self._hears()
        known = self._found.get(session_id)
        if (
            known is not None
            and known.account_id == account_id
            and now - known.asked_at <= AGE_SECONDS
            and hears
        ):
            return known.row
        forgotten = self._forgotten
        row = await self._sessions.find(session_id, account_id)
        # Whoever ended a session meanwhile may have done so after this was read.
        if row is not None and hears and forgotten == self._forgotten:
            self._remember(session_id, _Found(account_id, row, now))
        return row

    def forget(self, account_id: UUID) -> None:
        """Remember nothing of the account's sessions."""
        self._forgotten += 1
        self._found = OrderedDict(
            (session_id, found)
            for session_id, found in self._found.items()
            if found.account_id != account_id
        )

    def forget_session(self, session_id: UUID) -> None:
        """Remember nothing of the session."""
        self._forgotten += 1
        self._found.pop(session_id, None)

    def forget_all(self) -> None:
        """Remember nothing."""
        self._forgotten += 1
        self._found.clear()

    def _remember(self, session_id: UUID, found: _Found) -> None:
        if len(self._found) >= REMEMBERED:
            self._found.popitem(last=False)
        self._found[session_id] = found
