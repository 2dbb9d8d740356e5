"""Stores the claimed facts of account holders, encrypted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from govid.bus import Database, Transaction
from govid.bus.shared.crypto import AuthenticatedCipher, EncryptedColumn, NotDecryptable
from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.privacy import RedactedStruct

CLAIMED_FACTS_PURPOSE = b"govid claimed facts"

_SAVE = """
    INSERT INTO identity.claimed_facts (account_id, sealed, claimed_at) VALUES ($1, $2, $3)
    ON CONFLICT (account_id) DO UPDATE
    SET sealed = excluded.sealed, claimed_at = excluded.claimed_at, confirmed_at = NULL
"""
_CONFIRM = "UPDATE identity.claimed_facts SET confirmed_at = $2 WHERE account_id = $1"
_DELETE = "DELETE FROM identity.claimed_facts WHERE account_id = ANY ($1)"
_SELECT = (
    "SELECT sealed, claimed_at, confirmed_at FROM identity.claimed_facts WHERE account_id = $1"
)


class UnreadableFacts(RuntimeError):
    """Stored facts cannot be decrypted: GOVID_KEY_ENCRYPTION_KEY is wrong or missing."""


class StoredFacts(RedactedStruct, frozen=True, kw_only=True):
    """The claimed facts of an account, and when a department has confirmed them."""

    facts: ClaimedFacts
    claimed_at: datetime
    confirmed_at: datetime | None


class ClaimedFactsCipher:
    """Encrypts claimed facts for storage under keys derived from the operator's keys."""

    def __init__(self, *keys: bytes) -> None:
        """Encrypt under the first of *keys*, which may have any length; decrypt under any."""
        self.cipher = AuthenticatedCipher(keys, CLAIMED_FACTS_PURPOSE)

    def encrypt(self, account_id: UUID, facts: ClaimedFacts) -> bytes:
        """Return *facts* encrypted and bound to the account."""
        return self.cipher.encrypt(msgspec.json.encode(facts), account_id.bytes)

    def decrypt(self, account_id: UUID, ciphertext: bytes) -> ClaimedFacts:
        """Return the decrypted facts of the account.

        Raises:
            UnreadableFacts: they were encrypted under another key, or were changed since.
        """
        try:
            plain = self.cipher.decrypt(ciphertext, account_id.bytes)
        except NotDecryptable as error:
            raise UnreadableFacts(UnreadableFacts.__doc__) from error
        return msgspec.json.decode(plain, type=ClaimedFacts)


def claimed_facts_column(cipher: ClaimedFactsCipher) -> EncryptedColumn:
    """Return the encrypted column of claimed facts."""
    return EncryptedColumn(
        table="identity.claimed_facts",
        key="account_id",
        value="sealed",
        condition="true",
        cipher=cipher.cipher,
        context=lambda account_id: bytes(account_id.bytes),
    )


class ClaimedFactsRepository:
    """Reads and writes claimed facts, at most one set for each account."""

    def __init__(self, database: Database, cipher: ClaimedFactsCipher) -> None:
        """Encrypt by *cipher*; read outside of transactions from *database*."""
        self._database = database
        self._cipher = cipher

    async def save(self, tx: Transaction, account_id: UUID, facts: ClaimedFacts) -> None:
        """Store unconfirmed *facts*, replacing older ones."""
        encrypted = self._cipher.encrypt(account_id, facts)
        await tx.driver.execute(_SAVE, account_id, encrypted, tx.now)

    async def mark_confirmed(self, tx: Transaction, account_id: UUID) -> None:
        """Record that a department has confirmed the facts."""
        await tx.driver.execute(_CONFIRM, account_id, tx.now)

    async def delete(self, tx: Transaction, account_ids: Sequence[UUID]) -> None:
        """Delete the facts of these accounts."""
        await tx.driver.execute(_DELETE, list(account_ids))

    async def for_account(self, account_id: UUID) -> ClaimedFacts | None:
        """Return the facts of the account; departments read them by this method."""
        stored = await self.fetch(account_id)
        return None if stored is None else stored.facts

    async def fetch(self, account_id: UUID) -> StoredFacts | None:
        """Return the facts of the account and when they were claimed and confirmed.

        Raises:
            UnreadableFacts: they were encrypted under another key, or were changed since.
        """
        row: Any = await self._database.reads.fetchrow(_SELECT, account_id)
        if row is None:
            return None
        return StoredFacts(
            facts=self._cipher.decrypt(account_id, row["sealed"]),
            claimed_at=row["claimed_at"],
            confirmed_at=row["confirmed_at"],
        )
