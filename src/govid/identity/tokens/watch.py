"""Looks which keys there are, again and again: so a running process learns of a new one."""

import asyncio
import logging

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from govid.bus import Actor, Cause
from govid.identity.settings import KEY_WATCH_SECONDS
from govid.identity.tokens.keyring import Keyring
from govid.identity.tokens.keys import UnreadableKey
from govid.identity.tokens.rotation import Rotation

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
_FAILURES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    SQLAlchemyError,
    UnreadableKey,
)
_CAUSE = Cause(correlation_id="identity.keys", actor=Actor(kind="module", id="identity"))


class KeyWatch:
    """Keeps a keyring up to date, and takes the steps of a rotation that are due."""

    def __init__(self, keyring: Keyring, rotation: Rotation) -> None:
        """Load *keyring* anew after each step of *rotation*, whoever took it."""
        self._keyring = keyring
        self._rotation = rotation

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        pause: float = KEY_WATCH_SECONDS
        while True:
            await asyncio.sleep(pause)
            try:
                await self.look()
                pause = KEY_WATCH_SECONDS
            except _FAILURES as error:
                # The keys of before stay: they are good for much longer than this may last.
                log.warning("keys.not_seen", extra={"error_class": type(error).__name__})
                pause = RETRY_SECONDS

    async def look(self) -> None:
        """Take what is due, and load what there is."""
        await self._rotation.advance(_CAUSE)
        await self._keyring.load()
