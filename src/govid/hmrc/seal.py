"""Encrypts what opens a citizen's tax records, and the reference that names them."""

import logging
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

log = logging.getLogger(__name__)

NONCE_BYTES = 12


class Unsealable(RuntimeError):
    """A stored consent cannot be opened: GOVID_KEY_ENCRYPTION_KEY is another or missing."""


class Seal:
    """AES-256-GCM under a key derived from the operator's, bound to an account and a purpose."""

    def __init__(self, key: bytes) -> None:
        """Derive from *key*, of any length; from none, nothing is closed or opened."""
        derivation = HKDF(hashes.SHA256(), length=32, salt=None, info=b"govid hmrc consents")
        # What is derived from no key could be derived by anybody.
        self._kept_cipher = AESGCM(derivation.derive(key)) if key else None

    def close(self, account_id: UUID, purpose: bytes, plain: bytes) -> bytes:
        """Return *plain* encrypted, good for this account and this *purpose* only."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, purpose + account_id.bytes)

    def find(self, account_id: UUID, purpose: bytes, sealed: bytes | None) -> bytes | None:
        """Return what was *sealed*, if anything was and it can be opened.

        What cannot be opened is for the operator to hear of, and is left: the key may come back.
        """
        if sealed is None:
            return None
        try:
            return self.open(account_id, purpose, sealed)
        except Unsealable:
            log.error("hmrc.consent_not_opened")  # noqa: TRY400 - its frames hold a person (I9)
            return None

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

    @property
    def _cipher(self) -> AESGCM:
        if self._kept_cipher is None:
            raise Unsealable(Unsealable.__doc__)
        return self._kept_cipher
