"""Encrypts consent tokens, and the taxpayer reference that they belong to."""

import logging
from uuid import UUID

from govid.bus.shared.crypto import AuthenticatedCipher, KeyMissing, NotDecryptable

log = logging.getLogger(__name__)

CONSENT_KEY_PURPOSE = b"govid hmrc consents"


class UnreadableConsent(RuntimeError):
    """A stored consent cannot be decrypted: GOVID_KEY_ENCRYPTION_KEY is missing or different."""


class ConsentCipher:
    """AES-256-GCM under keys derived from the operator's, bound to an account and a purpose."""

    def __init__(self, *keys: bytes) -> None:
        """Encrypt under the first of *keys*, which are of any length; decrypt under any.

        Without a key, neither is possible.
        """
        self.cipher = AuthenticatedCipher(keys, CONSENT_KEY_PURPOSE)

    def encrypt(self, account_id: UUID, purpose: bytes, plain: bytes) -> bytes:
        """Encrypt *plain*, bound to this account and this *purpose*."""
        try:
            return self.cipher.encrypt(plain, purpose + account_id.bytes)
        except KeyMissing as error:
            raise UnreadableConsent(UnreadableConsent.__doc__) from error

    def decrypt_or_none(
        self, account_id: UUID, purpose: bytes, ciphertext: bytes | None
    ) -> bytes | None:
        """Decrypt *sealed*; return None if it is None or cannot be decrypted.

        A value that cannot be decrypted is logged for the operator and kept, because its key may be
        restored.
        """
        if ciphertext is None:
            return None
        try:
            return self.decrypt(account_id, purpose, ciphertext)
        except UnreadableConsent:
            log.error("hmrc.consent_not_opened")  # noqa: TRY400 - its frames hold personal data (I9)
            return None

    def decrypt(self, account_id: UUID, purpose: bytes, ciphertext: bytes) -> bytes:
        """Decrypt *sealed*.

        Raises:
            Unsealable: its key, account or purpose is different, or it was changed.
        """
        try:
            return self.cipher.decrypt(ciphertext, purpose + account_id.bytes)
        except (KeyMissing, NotDecryptable) as error:
            raise UnreadableConsent(UnreadableConsent.__doc__) from error
