"""Generates, encrypts, loads and publishes signing keys, and holds those of this process."""

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from govid.bus import Actor, OperationContext, Transaction, UnitOfWork
from govid.bus.shared.crypto import AuthenticatedCipher, EncryptedColumn, NotDecryptable
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.repository.signing_keys import SigningKeyRepository, StoredKey, VerifyingKey
from govid.identity.settings import IdentitySettings
from govid.identity.tokens import jws

COORDINATE_BYTES = 32
SIGNING_KEY_PURPOSE = b"govid signing key"
SHARED_KEY_ID = "hs256"
"""The id of the shared secret. A thumbprint of it would help an attacker to guess the secret."""


class UnreadableKey(RuntimeError):
    """The stored signing key cannot be decrypted: GOVID_KEY_ENCRYPTION_KEY is wrong or missing."""


class TokenKey(RedactedStruct, frozen=True, kw_only=True):
    """A key in use. `jwk` is its public key as published; a shared secret has none.

    `signing` is None for a key that only verifies.
    """

    kid: str
    algorithm: str
    signing: Any
    verifying: Any
    jwk: dict[str, str] | None = None

    repr_members: ClassVar[tuple[str, ...]] = ("kid",)


class SigningKeyCipher:
    """Encrypts private keys for storage under keys derived from the operator's keys."""

    def __init__(self, *keys: bytes) -> None:
        """Encrypt under the first of *keys*, which may have any length; decrypt under any."""
        self.cipher = AuthenticatedCipher(keys, SIGNING_KEY_PURPOSE)

    @classmethod
    def from_settings(cls, settings: IdentitySettings) -> Self | None:
        """Return the cipher of this deployment, or None without an encryption key."""
        return cls(*settings.encryption_keys) if settings.key_encryption_key else None

    def encrypt(self, key: StoredKey) -> StoredKey:
        """Return *key* with its private key encrypted and bound to the key id."""
        ciphertext = self.cipher.encrypt(key.private_key, key.kid.encode())
        return msgspec.structs.replace(key, private_key=ciphertext, sealed=True)

    def decrypt(self, key: StoredKey) -> StoredKey:
        """Return *key* with its private key decrypted.

        Raises:
            UnreadableKey: it was encrypted under another key, or was changed since.
        """
        try:
            private = self.cipher.decrypt(key.private_key, key.kid.encode())
        except NotDecryptable as error:
            raise UnreadableKey(UnreadableKey.__doc__) from error
        return msgspec.structs.replace(key, private_key=private, sealed=False)


def private_key_column(cipher: SigningKeyCipher) -> EncryptedColumn:
    """Return the encrypted column of private signing keys."""
    return EncryptedColumn(
        table="identity.signing_key",
        key="kid",
        value="private_key",
        condition="sealed AND private_key IS NOT NULL",
        cipher=cipher.cipher,
        context=lambda kid: bytes(kid.encode()),
    )


def generate_signing_key() -> StoredKey:
    """Generate an ES256 key whose id does not begin with `-`, like a command-line option."""
    private = ec.generate_private_key(ec.SECP256R1())
    kid = thumbprint(public_jwk(private.public_key()))
    if kid.startswith("-"):
        return generate_signing_key()
    return StoredKey(
        kid=kid,
        public_key=private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        private_key=private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        sealed=False,
    )


def load_signing_key(key: StoredKey) -> TokenKey:
    """Load the stored, decrypted *key* for signing and verification."""
    private = serialization.load_der_private_key(key.private_key, password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise UnreadableKey("the stored signing key is not an elliptic-curve key")
    return _build_token_key(key.kid, private.public_key(), signing=private)


def load_public_key(key: VerifyingKey) -> TokenKey:
    """Load the public key of *key* for verification."""
    loaded = serialization.load_der_public_key(key.public_key)
    if not isinstance(loaded, ec.EllipticCurvePublicKey):
        raise UnreadableKey("a stored public key is not an elliptic-curve key")
    return _build_token_key(key.kid, loaded, signing=None)


def load_shared_secret(secret: bytes) -> TokenKey:
    """Return the key of the shared *secret* for signing and verification."""
    return TokenKey(kid=SHARED_KEY_ID, algorithm="HS256", signing=secret, verifying=secret)


def public_jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return the required members of the JSON Web Key of *public*."""
    point = public.public_numbers()
    return {
        "crv": "P-256",
        "kty": "EC",
        "x": jws.encode_base64url(point.x.to_bytes(COORDINATE_BYTES, "big")),
        "y": jws.encode_base64url(point.y.to_bytes(COORDINATE_BYTES, "big")),
    }


def thumbprint(jwk: dict[str, str]) -> str:
    """Return the thumbprint of the public key *jwk*, used as its key id.

    Source: RFC 7638: SHA-256 over the required members, sorted, without spaces.
    """
    required = msgspec.json.encode(jwk, order="sorted")
    return jws.encode_base64url(hashlib.sha256(required).digest())


def _build_token_key(kid: str, verifying: ec.EllipticCurvePublicKey, *, signing: Any) -> TokenKey:
    return TokenKey(
        kid=kid,
        algorithm="ES256",
        signing=signing,
        verifying=verifying,
        jwk={**public_jwk(verifying), "kid": kid, "use": "sig", "alg": "ES256"},
    )


ES256 = "ES256"
HS256 = "HS256"

KEYRING_CONTEXT = OperationContext(
    correlation_id="identity.keys", actor=Actor(kind="module", id="identity")
)
"""The context of reads and rotation steps that no request or operator has started."""


class Keyring:
    """Finds keys by id. It is empty until `load`, so that no token is accepted before."""

    def __init__(
        self, settings: IdentitySettings, uow: UnitOfWork, signing_keys: SigningKeyRepository
    ) -> None:
        """Use the secret of *settings* for HS256, otherwise the keys in *signing_keys*."""
        if settings.algorithm == HS256 and not settings.secret_key:
            raise ValueError("HS256 needs a secret key")
        self._shared_secret = settings.secret_key if settings.algorithm == HS256 else None
        self._cipher = SigningKeyCipher.from_settings(settings)
        self._uow = uow
        self._signing_keys = signing_keys
        self._signing: TokenKey | None = None
        self._accepted_keys: dict[str, TokenKey] = {}
        self._jwks = b'{"keys":[]}'

    async def load(self) -> None:
        """Load the stored keys; the first start ever generates one.

        Raises:
            UnreadableKey: the signing key is encrypted and cannot be decrypted.
        """
        if self._shared_secret:
            self.replace_keys(load_shared_secret(self._shared_secret))
            return
        async with self._uow.begin(KEYRING_CONTEXT) as tx:
            active = await self._load_active(tx)
            verifying = await self._signing_keys.fetch_verifying(tx, ES256)
        signing = self._signing
        if signing is None or signing.kid != active.kid:
            signing = load_signing_key(self._decrypt_key(active))
        self.replace_keys(
            signing, [load_public_key(key) for key in verifying if key.kid != signing.kid]
        )

    def replace_keys(self, signing: TokenKey, others: Sequence[TokenKey] = ()) -> None:
        """Sign with *signing* from now on; verify with it and *others* only."""
        accepted = (signing, *others)
        self._signing = signing
        self._accepted_keys = {key.kid: key for key in accepted}
        public_keys = [key.jwk for key in accepted if key.jwk is not None]
        self._jwks = msgspec.json.encode({"keys": public_keys})

    @property
    def signing(self) -> TokenKey:
        """The key that signs new tokens."""
        if self._signing is None:
            raise RuntimeError("the keys have not been loaded")
        return self._signing

    def find_key(self, kid: object) -> TokenKey | None:
        """Return the key with the id *kid*, which may be any JSON value."""
        return self._accepted_keys.get(kid) if isinstance(kid, str) else None

    def encode_jwks(self) -> bytes:
        """Return the public keys as a JSON Web Key Set."""
        return self._jwks

    async def _load_active(self, tx: Transaction) -> StoredKey:
        stored = await self._signing_keys.fetch_active(tx, ES256)
        if stored is None:
            fresh = generate_signing_key()
            await self._signing_keys.insert_active(
                tx, self._cipher.encrypt(fresh) if self._cipher else fresh, ES256
            )
            # Read again, because another replica may have inserted a key first.
            stored = await self._signing_keys.fetch_active(tx, ES256)
        if stored is None:
            raise UnreadableKey("there is no signing key and none could be stored")
        if not stored.sealed and self._cipher:
            # Stored before this deployment had an encryption key.
            await self._signing_keys.store_encrypted(tx, self._cipher.encrypt(stored))
        return stored

    def _decrypt_key(self, stored: StoredKey) -> StoredKey:
        if not stored.sealed:
            return stored
        if self._cipher is None:
            raise UnreadableKey(UnreadableKey.__doc__)
        return self._cipher.decrypt(stored)
