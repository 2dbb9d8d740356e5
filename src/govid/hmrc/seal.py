"""Encrypts what opens a citizen's tax records, and the reference that names them."""

import logging
from uuid import UUID

from govid.bus.shared.crypto import AuthenticatedCipher, KeyMissing, NotDecryptable

log = logging.getLogger(__name__)

PURPOSE = b"govid hmrc consents"


class Unsealable(RuntimeError):
    """A stored consent cannot be opened: GOVID_KEY_ENCRYPTION_KEY is another or missing."""


class Seal:
    """AES-256-GCM under keys derived from the operator's, bound to an account and a purpose."""

    def __init__(self, *keys: bytes) -> None:
        """Encrypt under the first of *keys*, which are of any length; decrypt under any.

        Without a key nothing is closed or opened.
        """
        self.cipher = AuthenticatedCipher(keys, PURPOSE)

    def close(self, account_id: UUID, purpose: bytes, plain: bytes) -> bytes:
        """Return *plain* encrypted, good for this account and this *purpose* only."""
        try:
            return self.cipher.encrypt(plain, purpose + account_id.bytes)
        except KeyMissing as error:
            raise Unsealable(Unsealable.__doc__) from error

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
        try:
            return self.cipher.decrypt(sealed, purpose + account_id.bytes)
        except (KeyMissing, NotDecryptable) as error:
            raise Unsealable(Unsealable.__doc__) from error
