"""Holds the keys of this process: one signs, the previous and the next ones only verify."""

from collections.abc import Sequence

import msgspec

from govid.bus import Actor, OperationContext, Transaction, UnitOfWork
from govid.identity.repository.signing_keys import SigningKeyRepository, StoredKey
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.keys import (
    SigningKeyCipher,
    TokenKey,
    UnreadableKey,
    generate_signing_key,
    load_public_key,
    load_shared_secret,
    load_signing_key,
)

ES256 = "ES256"
HS256 = "HS256"

_START = OperationContext(correlation_id="identity.keys", actor=Actor(kind="module", id="identity"))


class Keyring:
    """Finds keys by id. It is empty until `load`, so that no token is accepted before."""

    def __init__(
        self, settings: IdentitySettings, uow: UnitOfWork, stored: SigningKeyRepository
    ) -> None:
        """Use the secret of *settings* for HS256, otherwise the keys in *stored*."""
        if settings.algorithm == HS256 and not settings.secret_key:
            raise ValueError("HS256 needs a secret key")
        self._shared = settings.secret_key if settings.algorithm == HS256 else None
        self._cipher = SigningKeyCipher.from_settings(settings)
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
            self.replace_keys(load_shared_secret(self._shared))
            return
        async with self._uow.begin(_START) as tx:
            active = await self._active(tx)
            published = await self._stored.fetch_published(tx, ES256)
        signing = self._signing
        if signing is None or signing.kid != active.kid:
            signing = load_signing_key(self._decrypted(active))
        self.replace_keys(
            signing, [load_public_key(key) for key in published if key.kid != signing.kid]
        )

    def replace_keys(self, signing: TokenKey, others: Sequence[TokenKey] = ()) -> None:
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

    def find_key(self, kid: object) -> TokenKey | None:
        """Return the key with the id *kid*, which may be any JSON value."""
        return self._live.get(kid) if isinstance(kid, str) else None

    def encode_jwks(self) -> bytes:
        """Return the public keys as a JSON Web Key Set."""
        return self._jwks

    async def _active(self, tx: Transaction) -> StoredKey:
        stored = await self._stored.fetch_active(tx, ES256)
        if stored is None:
            fresh = generate_signing_key()
            await self._stored.insert_active(
                tx, self._cipher.encrypt(fresh) if self._cipher else fresh, ES256
            )
            # Read again, because another replica may have inserted a key first.
            stored = await self._stored.fetch_active(tx, ES256)
        if stored is None:
            raise UnreadableKey("there is no signing key and none could be stored")
        if not stored.sealed and self._cipher:
            # Stored before this deployment had an encryption key.
            await self._stored.store_encrypted(tx, self._cipher.encrypt(stored))
        return stored

    def _decrypted(self, stored: StoredKey) -> StoredKey:
        if not stored.sealed:
            return stored
        if self._cipher is None:
            raise UnreadableKey(UnreadableKey.__doc__)
        return self._cipher.decrypt(stored)
