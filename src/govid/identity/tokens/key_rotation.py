"""Signing-key rotation without rejected tokens, and the worker that runs due steps.

Only an operator starts a rotation (`govid keys rotate`): a new key is published, and its activation
and the retirement of the old key follow by time. No key is rotated on a schedule. `Keyring`
(`signing_keys.py`) generates the first key in `load` and holds the key set, which
`controllers/well_known.py` serves at `/.well-known/jwks.json`.

A new key is published for longer than any client caches the key set before it signs its first
token (`key_publish_seconds`). An old key verifies for longer than its last token lives
(`key_retention_seconds`). Both steps are due at a stored time; the first process that sees a due
step runs it.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from govid.bus import (
    DATABASE_UNAVAILABLE,
    OperationContext,
    PeriodicWorker,
    Transaction,
    UnitOfWork,
)
from govid.bus.events import KeyRotated
from govid.identity.repository.signing_keys import KeyStatus, SigningKeyRepository
from govid.identity.settings import KEY_CHECK_SECONDS, IdentitySettings
from govid.identity.tokens.signing_keys import (
    ES256,
    KEYRING_CONTEXT,
    Keyring,
    SigningKeyCipher,
    UnreadableKey,
    generate_signing_key,
)


class RotationConflict(Exception):
    """The state of a key does not allow the command. The message is shown to the operator."""


class RotationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The operator who requested a step, and the reason given."""

    operator: str
    reason: str


class KeyRotation:
    """Rotates signing keys: publish, activate, retire."""

    def __init__(
        self, settings: IdentitySettings, uow: UnitOfWork, signing_keys: SigningKeyRepository
    ) -> None:
        """Use the durations of *settings*, which have safe minimums, for each step."""
        self._can_rotate = settings.algorithm == ES256
        self._publish_time = timedelta(seconds=settings.key_publish_seconds)
        self._verify_time = timedelta(seconds=settings.key_retention_seconds)
        self._cipher = SigningKeyCipher.from_settings(settings)
        self._uow = uow
        self._signing_keys = signing_keys

    async def fetch_states(self, context: OperationContext) -> Sequence[KeyStatus]:
        """Return the state of every key, including retired ones, the oldest first."""
        async with self._uow.begin(context) as tx:
            return await self._signing_keys.fetch_states(tx)

    async def rotate(
        self, request: RotationRequest, context: OperationContext, *, immediately: bool = False
    ) -> str:
        """Publish a new key, which signs once all clients can know it; return its id.

        *immediately* is for a leaked key: the new one signs now. If a next key is published
        already, that one is activated instead, and its id is returned. Other services that verify
        our tokens may reject valid ones until they fetch the key set again. The old key is still
        accepted until it is retired: call `retire` for a leaked one.

        Raises:
            RotationConflict: a next key is already published and *immediately* is false, or HS256
                is configured.
            UnreadableKey: the running processes could not decrypt a key stored by this command.
        """
        if not self._can_rotate:
            raise RotationConflict("HS256 signs with GOVID_SECRET_KEY: change that setting instead")
        fresh = generate_signing_key()
        async with self._uow.begin(context) as tx:
            await self._signing_keys.lock_states(tx)
            await self._check_cipher(tx)
            encrypted = self._cipher.encrypt(fresh) if self._cipher else fresh
            if await self._signing_keys.insert_next(
                tx, encrypted, ES256, activate_after=self._publish_time
            ):
                _emit_rotated(tx, fresh.kid, "published", request)
            elif not immediately:
                raise RotationConflict(
                    "the next key is already published: `govid keys list` shows when it will sign"
                )
            if immediately:
                await self._activate_next(tx, request)
            verifying = await self._signing_keys.fetch_verifying(tx, ES256)
        return verifying[0].kid if immediately else fresh.kid

    async def retire(self, kid: str, request: RotationRequest, context: OperationContext) -> None:
        """Retire a key: all processes reject its tokens within seconds.

        Raises:
            RotationConflict: the key does not exist, signs, or is retired.
        """
        async with self._uow.begin(context) as tx:
            await self._signing_keys.lock_states(tx)
            _require_retirable(kid, await self._signing_keys.fetch_states(tx))
            await self._signing_keys.retire(tx, kid)
            _emit_rotated(tx, kid, "retired", request)

    async def check_retirable(self, kid: str, context: OperationContext) -> None:
        """Check that a key may be retired, before the operator is asked for confirmation.

        Raises:
            RotationConflict: `retire` would raise it now.
        """
        _require_retirable(kid, await self.fetch_states(context))

    async def run_due(self, context: OperationContext) -> None:
        """Run the due steps, unless another process has run them."""
        async with self._uow.begin(context) as tx:
            if not any(key.is_due for key in await self._signing_keys.fetch_verifying(tx, ES256)):
                return
            await self._signing_keys.lock_states(tx)
            for key in await self._signing_keys.fetch_verifying(tx, ES256):
                if key.is_due and key.state == "next":
                    await self._activate_next(tx, None)
                elif key.is_due and key.state == "retiring":
                    await self._signing_keys.retire(tx, key.kid)
                    _emit_rotated(tx, key.kid, "retired", None)

    async def _activate_next(self, tx: Transaction, request: RotationRequest | None) -> None:
        """Activate the next key instead of the active one."""
        old = await self._signing_keys.start_retiring(tx, ES256, retire_after=self._verify_time)
        new = await self._signing_keys.activate_next(tx, ES256)
        if new is not None:
            _emit_rotated(tx, new, "activated", request)
        if old is not None:
            _emit_rotated(tx, old, "retiring", request)

    async def _check_cipher(self, tx: Transaction) -> None:
        """Refuse to store a key that the running processes could not decrypt."""
        active = await self._signing_keys.fetch_active(tx, ES256)
        if active is None or not active.sealed:
            return
        if self._cipher is None:
            raise UnreadableKey(UnreadableKey.__doc__)
        self._cipher.decrypt(active)


def _require_retirable(kid: str, states: Sequence[KeyStatus]) -> None:
    state = {key.kid: key.state for key in states}.get(kid)
    if state is None:
        raise RotationConflict("there is no such key: `govid keys list` shows them")
    if state == "active":
        raise RotationConflict("this key signs: `govid keys rotate --now` first")
    if state == "retired":
        raise RotationConflict("this key is already retired")


def _emit_rotated(tx: Transaction, kid: str, step: str, request: RotationRequest | None) -> None:
    tx.emit(
        msgspec.convert(
            {
                "kid": kid,
                "step": step,
                "operator": request and request.operator,
                "stated_reason": request and request.reason,
                "timestamp": tx.now,
            },
            KeyRotated,
        )
    )


RETRY_SECONDS = 1.0


class KeyRotationWorker:
    """Runs due rotation steps and reloads the keyring every few seconds.

    It starts no rotation: it activates and retires keys after an operator has started one.
    """

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
        await self._rotation.run_due(KEYRING_CONTEXT)
        await self._keyring.load()
