"""Processes that remember living sessions, and a network between their ears and the database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import make_url

from govid.bus import BusSettings, Database, Signals
from govid.bus.wake import Notifier, Wake
from govid.identity.repository.sessions import Sessions
from govid.identity.sessions.authentication import Authentication
from govid.identity.sessions.ending import Ending
from govid.identity.sessions.live import LiveSessions
from govid.identity.sessions.remembered import Reader
from govid.identity.sessions.revocations import Revocations
from tests.integration.identity.conftest import Parts, a_uow

DEADLINE_SECONDS = 10.0
REVOKE = "UPDATE identity.session SET revoked_at = clock_timestamp(), revoked_reason = 'test'"
"""Done behind everybody's back: nobody is told."""


class Counted:
    """A reader that counts how often it is asked."""

    def __init__(self, sessions: Reader) -> None:
        self.asked = 0
        self._sessions = sessions

    async def find(self, session_id: UUID, account_id: UUID) -> Sequence[Any] | None:
        self.asked += 1
        return await self._sessions.find(session_id, account_id)


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """What a process with `GOVID_REVOCATION_CHECK=cache` has to do with sessions."""

    database: Database
    reader: Counted
    revocations: Revocations
    ending: Ending
    authentication: Authentication

    async def read(self, token: str) -> UUID:
        """Return whose *token* is, for a request that changes nothing."""
        return (await self.authentication.authenticate(token, writes=False)).account_id

    @property
    def hears(self) -> bool:
        return self.revocations.ear.hears


@asynccontextmanager
async def remembering(
    identity: Parts, settings: BusSettings, listen_url: str | None = None
) -> AsyncIterator[Process]:
    """Run a process that listens at *listen_url*."""
    async with Database(settings) as database:
        signals = Signals(listen_url or settings.database_url)
        reader = Counted(LiveSessions(database))
        revocations = Revocations(reader, signals)
        process = Process(
            database=database,
            reader=reader,
            revocations=revocations,
            ending=Ending(a_uow(database), Sessions(), revocations.tell),
            authentication=Authentication(
                reader, identity.tokens, lambda _: None, revocations.sessions
            ),
        )
        notifier = Notifier(settings.database_url, Wake(), lambda: 1, signals)
        tasks = [asyncio.create_task(run()) for run in (revocations.ear.run, notifier.run)]
        try:
            await until(lambda: process.hears)
            yield process
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def through(url: str, port: int) -> str:
    """Return *url*, by way of a proxy on *port*."""
    return make_url(url).set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
