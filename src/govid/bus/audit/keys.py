"""Derives all keys of the audit log from the operator's secret, and uses them.

HKDF (RFC 5869) gives each purpose a key of its own: digests of personal values, authentication of
entries, and the Ed25519 key that signs checkpoints. Earlier secrets still authenticate and verify.
"""

import hashlib
import hmac
from collections.abc import Sequence
from functools import cached_property

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from govid.bus.audit.signed_notes import NoteSigner, NoteVerifier
from govid.bus.settings import AuditSettings

DIGEST_DIGITS = 32
"""A digest of a personal value has 128 bits, in hexadecimal."""


class AuditKeys:
    """The keys of one audit log, newest first. The repr shows none of them."""

    def __init__(self, secrets: Sequence[bytes], origin: str) -> None:
        """Derive keys from *secrets*, newest first; *origin* names the log in checkpoints."""
        self._origin = origin
        self._digest_keys = [_derive(secret, b"govid audit digest") for secret in secrets]
        self._entry_keys = [_derive(secret, b"govid audit entry") for secret in secrets]
        self._note_seeds = [_derive(secret, b"govid audit checkpoint") for secret in secrets]

    @classmethod
    def from_settings(cls, settings: AuditSettings) -> "AuditKeys":
        """Derive the keys of the log that *settings* describe."""
        return cls((settings.key, *settings.old_keys), settings.origin)

    @property
    def has_former_keys(self) -> bool:
        """Whether there is more than one key, as during and after an exchange."""
        return len(self._entry_keys) > 1

    def digest(self, member: str, value: str) -> str:
        """Return the keyed digest of the personal *value* of *member*: 32 hexadecimal digits.

        Equal values of one member have equal digests, so entries can be searched by them. Without
        the key no value can be guessed.
        """
        return _digest(self._digest_keys[0], member, value)

    def digests(self, member: str, value: str) -> tuple[str, ...]:
        """Return the digests of *value* under all keys, newest first."""
        return tuple(_digest(key, member, value) for key in self._digest_keys)

    def sign_entry(self, content: bytes) -> bytes:
        """Return the authentication code of an entry's *content*: HMAC-SHA-256, 32 bytes."""
        return hmac.digest(self._entry_keys[0], content, hashlib.sha256)

    def is_authentic(self, content: bytes, mac: bytes) -> bool:
        """Tell whether *mac* was made for *content* under one of the keys."""
        return any(
            hmac.compare_digest(hmac.digest(key, content, hashlib.sha256), mac)
            for key in self._entry_keys
        )

    @cached_property
    def note_signer(self) -> NoteSigner:
        """The signer of checkpoints."""
        return NoteSigner(self._origin, Ed25519PrivateKey.from_private_bytes(self._note_seeds[0]))

    @cached_property
    def note_verifiers(self) -> tuple[NoteVerifier, ...]:
        """The verifiers of checkpoints, newest first."""
        return tuple(
            NoteVerifier(self._origin, Ed25519PrivateKey.from_private_bytes(seed).public_key())
            for seed in self._note_seeds
        )

    def __repr__(self) -> str:
        """Show no key (I9)."""
        return f"<AuditKeys {self._origin}>"


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose).derive(secret)


def _digest(key: bytes, member: str, value: str) -> str:
    # A lone surrogate of a foreign text has a digest too.
    text = f"{member}\0{value}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, text, hashlib.sha256).hex()[:DIGEST_DIGITS]
