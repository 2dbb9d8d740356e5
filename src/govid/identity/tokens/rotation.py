"""How one signing key follows another without anybody noticing.

A new key is published for longer than anybody keeps our key set before it signs the first token,
and an old one for longer than the last of its tokens lives. Time does both: whichever process
looks first when a step is due takes it.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from govid.bus import Cause, Transaction, UnitOfWork
from govid.bus.contracts import KeyRotated
from govid.identity.repository.signing_keys import KeyState, SigningKeys
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.keyring import ES256
from govid.identity.tokens.keys import Seal, UnreadableKey, generate


class KeyInTheWay(Exception):
    """A key's state does not allow what was asked. The text is a sentence for the operator."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's order, and why."""

    operator: str
    reason: str


class Rotation:
    """Lets signing keys take turns."""

    def __init__(self, settings: IdentitySettings, uow: UnitOfWork, stored: SigningKeys) -> None:
        """Give each step the time that *settings* give it, which is never too short."""
        self._rotates = settings.algorithm == ES256
        self._published = timedelta(seconds=settings.key_publish_seconds)
        self._kept = timedelta(seconds=settings.key_kept_seconds)
        self._seal = Seal.of(settings)
        self._uow = uow
        self._stored = stored

    async def states(self, cause: Cause) -> Sequence[KeyState]:
        """Return every key there ever was, the oldest first."""
        async with self._uow.begin(cause) as tx:
            return await self._stored.states(tx)

    async def rotate(self, turn: Turn, cause: Cause, *, at_once: bool = False) -> str:
        """Publish a new key, which signs when everybody can know it; return its id.

        *at_once* is for a key that has leaked: the new one signs now, and others who check our
        tokens may refuse good ones until they look at the key set again.

        Raises:
            KeyInTheWay: another key is on its way, or a shared secret signs.
            UnreadableKey: a key of this operator could not be read by the processes that run.
        """
        if not self._rotates:
            raise KeyInTheWay("HS256 signs with GOVID_SECRET_KEY, which only a new value changes")
        fresh = generate()
        async with self._uow.begin(cause) as tx:
            await self._stored.lock(tx)
            await self._prove_seal(tx)
            sealed = self._seal.close(fresh) if self._seal else fresh
            if await self._stored.announce(tx, sealed, ES256, published=self._published):
                _tell(tx, fresh.kid, "published", turn)
            elif not at_once:
                raise KeyInTheWay("a key is on its way already: `govid keys list` shows from when")
            if at_once:
                await self._switch(tx, turn)
            signs = await self._stored.published(tx, ES256)
        return signs[0].kid if at_once else fresh.kid

    async def retire(self, kid: str, turn: Turn, cause: Cause) -> None:
        """Believe a key no more: its tokens are refused everywhere within seconds.

        Raises:
            KeyInTheWay: there is no such key, it signs, or it is retired.
        """
        async with self._uow.begin(cause) as tx:
            await self._stored.lock(tx)
            _refuse_to_retire(kid, await self._stored.states(tx))
            await self._stored.retire(tx, kid)
            _tell(tx, kid, "retired", turn)

    async def check(self, kid: str, cause: Cause) -> None:
        """Look whether a key may be retired, before anybody is asked whether it should be.

        Raises:
            KeyInTheWay: what `retire` would raise now.
        """
        _refuse_to_retire(kid, await self.states(cause))

    async def advance(self, cause: Cause) -> None:
        """Take the steps that are due, unless another process is faster."""
        async with self._uow.begin(cause) as tx:
            if not any(key.is_due for key in await self._stored.published(tx, ES256)):
                return
            await self._stored.lock(tx)
            for key in await self._stored.published(tx, ES256):
                if key.is_due and key.state == "next":
                    await self._switch(tx, None)
                elif key.is_due and key.state == "retiring":
                    await self._stored.retire(tx, key.kid)
                    _tell(tx, key.kid, "retired", None)

    async def _switch(self, tx: Transaction, turn: Turn | None) -> None:
        """Let the next key sign instead of the active one."""
        old = await self._stored.put_away(tx, ES256, kept=self._kept)
        new = await self._stored.activate(tx, ES256)
        if new is not None:
            _tell(tx, new, "activated", turn)
        if old is not None:
            _tell(tx, old, "retiring", turn)

    async def _prove_seal(self, tx: Transaction) -> None:
        """Refuse to store a key that the running processes could not open."""
        active = await self._stored.active(tx, ES256)
        if active is None or not active.sealed:
            return
        if self._seal is None:
            raise UnreadableKey(UnreadableKey.__doc__)
        self._seal.open(active)


def _refuse_to_retire(kid: str, states: Sequence[KeyState]) -> None:
    state = {key.kid: key.state for key in states}.get(kid)
    if state is None:
        raise KeyInTheWay("there is no such key: `govid keys list` shows them")
    if state == "active":
        raise KeyInTheWay("this key signs: `govid keys rotate --now` first")
    if state == "retired":
        raise KeyInTheWay("this key is retired")


def _tell(tx: Transaction, kid: str, step: str, turn: Turn | None) -> None:
    tx.emit(
        msgspec.convert(
            {
                "kid": kid,
                "step": step,
                "operator": turn and turn.operator,
                "stated_reason": turn and turn.reason,
                "timestamp": tx.now,
            },
            KeyRotated,
        )
    )
