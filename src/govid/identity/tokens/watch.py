"""Looks which keys there are, again and again: so a running process learns of a new one."""

from govid.bus import DATABASE_UNAVAILABLE, Actor, Cause, PeriodicWorker
from govid.identity.settings import KEY_WATCH_SECONDS
from govid.identity.tokens.keyring import Keyring
from govid.identity.tokens.keys import UnreadableKey
from govid.identity.tokens.rotation import Rotation

RETRY_SECONDS = 1.0
_CAUSE = Cause(correlation_id="identity.keys", actor=Actor(kind="module", id="identity"))


class KeyWatch:
    """Keeps a keyring up to date, and takes the steps of a rotation that are due."""

    def __init__(self, keyring: Keyring, rotation: Rotation) -> None:
        """Load *keyring* anew after each step of *rotation*, whoever took it."""
        self._keyring = keyring
        self._rotation = rotation

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        # The keys of before stay after a failure: they are good for longer than this may last.
        await PeriodicWorker(
            self.look,
            KEY_WATCH_SECONDS,
            failure_event="keys.not_seen",
            failures=(*DATABASE_UNAVAILABLE, UnreadableKey),
            retry_seconds=RETRY_SECONDS,
            waits_first=True,
        ).run()

    async def look(self) -> None:
        """Take what is due, and load what there is."""
        await self._rotation.advance(_CAUSE)
        await self._keyring.load()
