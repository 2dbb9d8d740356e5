"""Encrypts what opens a citizen's tax records, and the reference that names them."""

import os
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class Unsealable(RuntimeError):
    """A stored consent cannot be opened: GOVID_KEY_ENCRYPTION_KEY is another or missing."""


class Seal:
    """AES-256-GCM under a key derived from the operator's, bound to an account and a purpose."""

    def __init__(self, key: bytes) -> None:
        """Derive from *key*, of any length."""
        derivation = HKDF(hashes.SHA256(), length=32, salt=None, info=b"govid hmrc consents")
        self._cipher = AESGCM(derivation.derive(key))

    @classmethod
    def of(cls, key: bytes) -> Self | None:
        """Return the seal of *key*; of none there is none, as anybody could derive it."""
        return cls(key) if key else None

    def close(self, account_id: UUID, purpose: bytes, plain: bytes) -> bytes:
        """Return *plain* encrypted, good for this account and this *purpose* only."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, purpose + account_id.bytes)

    def open(self, account_id: UUID, purpose: bytes, sealed: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            Unsealable: it was sealed under another key, for another account or purpose, or changed.
        """
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, rest, purpose + account_id.bytes)
        except InvalidTag as error:
            raise Unsealable(Unsealable.__doc__) from error
