"""Encrypts columns under the operator's keys, and identifies keys without revealing them.

One implementation serves all purposes: AES-256-GCM under a key that HKDF derives for the purpose. A
value that was encrypted under an older key can be read while that key is configured.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
REENCRYPTION_BATCH_ROWS = 500
KeyPurpose = Literal["encryption", "pseudonym"]


class KeyMissing(RuntimeError):
    """No key is configured to encrypt or decrypt with."""


class NotDecryptable(ValueError):
    """The value cannot be decrypted.

    Its key is not configured, it was changed, or it belongs to another row.
    """


class AuthenticatedCipher:
    """Encrypts under the newest key, and decrypts under any configured key."""

    def __init__(self, keys: Sequence[bytes], purpose: bytes) -> None:
        """Derive from *keys*, newest first and of any length, for *purpose*; skip empty ones."""
        self._ciphers = [_derive_cipher(key, purpose) for key in keys if key]

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        """Return *plain* encrypted and bound to *context*.

        Raises:
            KeyMissing: there is no key.
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._require_ciphers()[0].encrypt(nonce, plain, context)

    def decrypt(self, ciphertext: bytes, context: bytes) -> bytes:
        """Return the plain value that was encrypted for *context*.

        Raises:
            KeyMissing: there is no key.
            NotDecryptable: no key fits, or the value was changed.
        """
        return self._decrypt(ciphertext, context)[1]

    def reencrypt(self, ciphertext: bytes, context: bytes) -> bytes | None:
        """Return *ciphertext* encrypted under the newest key, or None if it already is.

        Raises:
            KeyMissing: there is no key.
            NotDecryptable: no key fits, or the value was changed.
        """
        position, plain = self._decrypt(ciphertext, context)
        return self.encrypt(plain, context) if position else None

    def _decrypt(self, ciphertext: bytes, context: bytes) -> tuple[int, bytes]:
        nonce, rest = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
        for position, cipher in enumerate(self._require_ciphers()):
            try:
                return position, cipher.decrypt(nonce, rest, context)
            except InvalidTag:
                continue
        raise NotDecryptable(NotDecryptable.__doc__)

    def _require_ciphers(self) -> Sequence[AESGCM]:
        if not self._ciphers:
            # A key derived from no secret could be derived by an attacker.
            raise KeyMissing(KeyMissing.__doc__)
        return self._ciphers


class EncryptedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column whose values can be encrypted again under the newest key.

    `context` gives the context of a row by its `key`; `condition` is SQL that selects the rows.
    """

    table: str
    key: str
    value: str
    condition: str
    cipher: AuthenticatedCipher
    context: Callable[[Any], bytes]

    def __repr__(self) -> str:
        """Name the column only (I9)."""
        return f"<EncryptedColumn {self.table}.{self.value}>"


class ReencryptionResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many values were checked, encrypted again, and left unchanged because no key fits."""

    seen: int = 0
    renewed: int = 0
    unreadable: int = 0


async def count_values(connection: Any, column: EncryptedColumn) -> int:
    """Count the values of *column*; *connection* is an `asyncpg` connection."""
    query = f"SELECT count(*) FROM {column.table} WHERE {column.condition}"  # noqa: S608 - constants
    count: int = await connection.fetchval(query)
    return count


async def reencrypt_values(
    connection: Any, column: EncryptedColumn, on_progress: Callable[[int], None]
) -> ReencryptionResult:
    """Encrypt the values of *column* under the newest key, in batches.

    Each value is updated by one statement, and only if it is unchanged since it was read. So this
    may run beside servers, be interrupted and be repeated: a value that is already under the newest
    key is skipped. *on_progress* is called after each batch with the number of values checked so
    far.
    """
    select = f"SELECT {column.key} AS key, {column.value} AS value FROM {column.table}"  # noqa: S608 - constants
    after = f"{select} WHERE {column.condition} AND {column.key} > $2 ORDER BY 1 LIMIT $1"
    first = f"{select} WHERE {column.condition} ORDER BY 1 LIMIT $1"
    update = f"""
        UPDATE {column.table} SET {column.value} = $3
        WHERE {column.key} = $1 AND {column.value} = $2
    """  # noqa: S608 - constants
    seen = renewed = unreadable = 0
    rows = await connection.fetch(first, REENCRYPTION_BATCH_ROWS)
    while rows:
        for row in rows:
            try:
                value = column.cipher.reencrypt(row["value"], column.context(row["key"]))
            except NotDecryptable:
                unreadable += 1
                continue
            if value is not None:
                await connection.execute(update, row["key"], row["value"], value)
                renewed += 1
        seen += len(rows)
        on_progress(seen)
        rows = await connection.fetch(after, REENCRYPTION_BATCH_ROWS, rows[-1]["key"])
    return ReencryptionResult(seen=seen, renewed=renewed, unreadable=unreadable)


def compute_key_id(key: bytes, purpose: KeyPurpose) -> str:
    """Return a fingerprint of *key*: 16 hexadecimal digits that do not reveal the key."""
    return hmac.new(key, f"govid key check {purpose}".encode(), hashlib.sha256).hexdigest()[:16]


def _derive_cipher(key: bytes, purpose: bytes) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), length=32, salt=None, info=purpose).derive(key))
