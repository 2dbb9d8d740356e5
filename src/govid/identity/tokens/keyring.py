"""The keys that are live in this process: one signs; those before and after it are believed."""

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
    """Finds keys by id. Empty until it is loaded, so that no token passes before."""

    def __init__(self, settings: IdentitySettings, uow: UnitOfWork, stored: SigningKeys) -> None:
        """Use the secret of *settings* if they choose HS256, else the keys that *stored* has."""
        if settings.algorithm == HS256 and not settings.secret_key:
            raise ValueError("HS256 needs a secret key")
        self._shared = settings.secret_key if settings.algorithm == HS256 else None
        self._seal = Seal.of(settings)
        self._uow = uow
        self._stored = stored
        self._signing: TokenKey | None = None
        self._live: dict[str, TokenKey] = {}
        self._jwks = b'{"keys":[]}'

    async def load(self) -> None:
        """Load the keys as they are now; the very first start makes one.

        Raises:
            UnreadableKey: the key that signs is sealed and cannot be opened.
        """
        if self._shared:
            self.use(hs256(self._shared))
            return
        async with self._uow.begin(_START) as tx:
            active = await self._active(tx)
            published = await self._stored.published(tx, ES256)
        signing = self._signing
        if signing is None or signing.kid != active.kid:
            signing = es256(self._opened(active))
        self.use(signing, [public(key) for key in published if key.kid != signing.kid])

    def use(self, signing: TokenKey, others: Sequence[TokenKey] = ()) -> None:
        """Sign with one key from now on, believe *others* too, and nothing else."""
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
        """Return the live key with the id *kid*, which may be anything that JSON can say."""
        return self._live.get(kid) if isinstance(kid, str) else None

    def jwks(self) -> bytes:
        """Return the public keys as a JSON Web Key Set."""
        return self._jwks

    async def _active(self, tx: Transaction) -> StoredKey:
        stored = await self._stored.active(tx, ES256)
        if stored is None:
            fresh = generate()
            await self._stored.propose(tx, self._seal.close(fresh) if self._seal else fresh, ES256)
            # Asked again, because another replica's proposal may have come first.
            stored = await self._stored.active(tx, ES256)
        if stored is None:
            raise UnreadableKey("there is no signing key, and none could be stored")
        if not stored.sealed and self._seal:
            # Stored before this deployment had a key to seal it with.
            await self._stored.seal(tx, self._seal.close(stored))
        return stored

    def _opened(self, stored: StoredKey) -> StoredKey:
        if not stored.sealed:
            return stored
        if self._seal is None:
            raise UnreadableKey(UnreadableKey.__doc__)
        return self._seal.open(stored)
