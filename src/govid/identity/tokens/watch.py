"""Reloads the signing keys of a running process and runs due rotation steps."""

from govid.bus import DATABASE_UNAVAILABLE, Actor, OperationContext, PeriodicWorker
from govid.identity.settings import KEY_CHECK_SECONDS
from govid.identity.tokens.keyring import Keyring
from govid.identity.tokens.keys import UnreadableKey
from govid.identity.tokens.rotation import KeyRotation

RETRY_SECONDS = 1.0
_CAUSE = OperationContext(correlation_id="identity.keys", actor=Actor(kind="module", id="identity"))


class KeyRotationWorker:
    """Runs due rotation steps and reloads the keyring every few seconds."""

    def __init__(self, keyring: Keyring, rotation: KeyRotation) -> None:
        """Reload *keyring* on each check, as any process may have run a step of *rotation*."""
        self._keyring = keyring
        self._rotation = rotation

    async def run(self) -> None:
        """Check every few seconds until cancelled."""
        # After a failure the loaded keys stay in use: they verify for longer than an outage lasts.
        await PeriodicWorker(
            self.check,
            KEY_CHECK_SECONDS,
            failure_event="keys.not_seen",
            failures=(*DATABASE_UNAVAILABLE, UnreadableKey),
            retry_seconds=RETRY_SECONDS,
            waits_first=True,
        ).run()

    async def check(self) -> None:
        """Run the due rotation steps, then reload the keys."""
        await self._rotation.run_due(_CAUSE)
        await self._keyring.load()
