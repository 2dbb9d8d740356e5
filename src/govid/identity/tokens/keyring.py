"""Holds the keys of this process: one signs, the previous and the next ones only verify."""

from collections.abc import Sequence

import msgspec

from govid.bus import Actor, Cause, Transaction, UnitOfWork
from govid.identity.repository.signing_keys import SigningKeys, StoredKey
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.keys import (
    Seal,
    TokenKey,
    UnreadableKey,
    es256,
    generate,
    hs256,
    public,
)

ES256 = "ES256"
HS256 = "HS256"

_START = Cause(correlation_id="identity.keys", actor=Actor(kind="module", id="identity"))


class Keyring:
    """Finds keys by id. It is empty until `load`, so that no token is accepted before."""

    def __init__(self, settings: IdentitySettings, uow: UnitOfWork, stored: SigningKeys) -> None:
        """Use the secret of *settings* for HS256, otherwise the keys in *stored*."""
        if settings.algorithm == HS256 and not settings.secret_key:
            raise ValueError("HS256 needs a secret key")
        self._shared = settings.secret_key if settings.algorithm == HS256 else None
        self._cipher = Seal.of(settings)
        self._uow = uow
        self._stored = stored
        self._signing: TokenKey | None = None
        self._live: dict[str, TokenKey] = {}
        self._jwks = b'{"keys":[]}'

    async def load(self) -> None:
        """Load the stored keys; the first start ever generates one.

        Raises:
            UnreadableKey: the signing key is encrypted and cannot be decrypted.
        """
        if self._shared:
            self.use(hs256(self._shared))
            return
        async with self._uow.begin(_START) as tx:
            active = await self._active(tx)
            published = await self._stored.published(tx, ES256)
        signing = self._signing
        if signing is None or signing.kid != active.kid:
            signing = es256(self._decrypted(active))
        self.use(signing, [public(key) for key in published if key.kid != signing.kid])

    def use(self, signing: TokenKey, others: Sequence[TokenKey] = ()) -> None:
        """Sign with *signing* from now on; verify with it and *others* only."""
        live = (signing, *others)
        self._signing = signing
        self._live = {key.kid: key for key in live}
        shown = [key.jwk for key in live if key.jwk is not None]
        self._jwks = msgspec.json.encode({"keys": shown})

    @property
    def signing(self) -> TokenKey:
        """The key that signs new tokens."""
        if self._signing is None:
            raise RuntimeError("the keys have not been loaded")
        return self._signing

    def find(self, kid: object) -> TokenKey | None:
        """Return the key with the id *kid*, which may be any JSON value."""
        return self._live.get(kid) if isinstance(kid, str) else None

    def jwks(self) -> bytes:
        """Return the public keys as a JSON Web Key Set."""
        return self._jwks

    async def _active(self, tx: Transaction) -> StoredKey:
        stored = await self._stored.active(tx, ES256)
        if stored is None:
            fresh = generate()
            await self._stored.propose(
                tx, self._cipher.close(fresh) if self._cipher else fresh, ES256
            )
            # Read again, because another replica may have inserted a key first.
            stored = await self._stored.active(tx, ES256)
        if stored is None:
            raise UnreadableKey("there is no signing key and none could be stored")
        if not stored.sealed and self._cipher:
            # Stored before this deployment had an encryption key.
            await self._stored.seal(tx, self._cipher.close(stored))
        return stored

    def _decrypted(self, stored: StoredKey) -> StoredKey:
        if not stored.sealed:
            return stored
        if self._cipher is None:
            raise UnreadableKey(UnreadableKey.__doc__)
        return self._cipher.open(stored)
