"""Encrypts consent tokens, and the taxpayer reference that they belong to."""

import logging
from uuid import UUID

from govid.bus.shared.crypto import AuthenticatedCipher, KeyMissing, NotDecryptable

log = logging.getLogger(__name__)

PURPOSE = b"govid hmrc consents"


class Unsealable(RuntimeError):
    """A stored consent cannot be decrypted: GOVID_KEY_ENCRYPTION_KEY is missing or different."""


class Seal:
    """AES-256-GCM under keys derived from the operator's, bound to an account and a purpose."""

    def __init__(self, *keys: bytes) -> None:
        """Encrypt under the first of *keys*, which are of any length; decrypt under any.

        Without a key, neither is possible.
        """
        self.cipher = AuthenticatedCipher(keys, PURPOSE)

    def close(self, account_id: UUID, purpose: bytes, plain: bytes) -> bytes:
        """Encrypt *plain*, bound to this account and this *purpose*."""
        try:
            return self.cipher.encrypt(plain, purpose + account_id.bytes)
        except KeyMissing as error:
            raise Unsealable(Unsealable.__doc__) from error

    def find(self, account_id: UUID, purpose: bytes, sealed: bytes | None) -> bytes | None:
        """Decrypt *sealed*; return None if it is None or cannot be decrypted.

        A value that cannot be decrypted is logged for the operator and kept, because its key may be
        restored.
        """
        if sealed is None:
            return None
        try:
            return self.open(account_id, purpose, sealed)
        except Unsealable:
            log.error("hmrc.consent_not_opened")  # noqa: TRY400 - its frames hold personal data (I9)
            return None

    def open(self, account_id: UUID, purpose: bytes, sealed: bytes) -> bytes:
        """Decrypt *sealed*.

        Raises:
            Unsealable: its key, account or purpose is different, or it was changed.
        """
        try:
            return self.cipher.decrypt(sealed, purpose + account_id.bytes)
        except (KeyMissing, NotDecryptable) as error:
            raise Unsealable(Unsealable.__doc__) from error
