"""The keys that are live in this process.

One active key for now. Rotation will load the coming and the retiring ones beside it: `find` and
`jwks` already speak of several.
"""

import msgspec

from govid.bus import Actor, Cause, UnitOfWork
from govid.identity.repository.signing_keys import SigningKeys, StoredKey
from govid.identity.settings import IdentitySettings
from govid.identity.tokens import keys
from govid.identity.tokens.keys import Seal, TokenKey, UnreadableKey

ES256 = "ES256"
HS256 = "HS256"

_START = Cause(correlation_id="identity.start", actor=Actor(kind="module", id="identity"))


class Keyring:
    """Finds keys by id. Empty until it is loaded, so that no token passes before."""

    def __init__(self, settings: IdentitySettings, uow: UnitOfWork, stored: SigningKeys) -> None:
        """Use the secret of *settings* if they choose HS256, else the key that *stored* has."""
        if settings.algorithm == HS256 and not settings.secret_key:
            raise ValueError("HS256 needs a secret key")
        self._shared = settings.secret_key if settings.algorithm == HS256 else None
        self._seal = Seal(settings.key_encryption_key) if settings.key_encryption_key else None
        self._uow = uow
        self._stored = stored
        self._live: dict[str, TokenKey] = {}
        self._jwks = b'{"keys":[]}'

    async def load(self) -> None:
        """Load the live key; the very first start makes it.

        Raises:
            UnreadableKey: the stored key is sealed and cannot be opened.
        """
        self.use(keys.hs256(self._shared) if self._shared else keys.es256(await self._open()))

    def use(self, key: TokenKey) -> None:
        """Sign with *key* from now on, and believe no other."""
        public = [] if key.jwk is None else [key.jwk]
        self._live = {key.kid: key}
        self._jwks = msgspec.json.encode({"keys": public})

    @property
    def signing(self) -> TokenKey:
        """The key that signs new tokens."""
        return next(iter(self._live.values()))

    def find(self, kid: object) -> TokenKey | None:
        """Return the live key with the id *kid*, which may be anything that JSON can say."""
        return self._live.get(kid) if isinstance(kid, str) else None

    def jwks(self) -> bytes:
        """Return the public keys as a JSON Web Key Set."""
        return self._jwks

    async def _open(self) -> StoredKey:
        async with self._uow.begin(_START) as tx:
            stored = await self._stored.active(tx, ES256)
            if stored is None:
                fresh = keys.generate()
                await self._stored.propose(
                    tx, self._seal.close(fresh) if self._seal else fresh, ES256
                )
                # Asked again, because another replica's proposal may have come first.
                stored = await self._stored.active(tx, ES256)
            if stored is None:
                raise UnreadableKey("there is no signing key, and none could be stored")
            if not stored.sealed and self._seal:
                # Stored before this deployment had a key to seal it with.
                await self._stored.seal(tx, self._seal.close(stored))
        if not stored.sealed:
            return stored
        if self._seal is None:
            raise UnreadableKey(UnreadableKey.__doc__)
        return self._seal.open(stored)
