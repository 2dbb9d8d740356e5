"""Where it is kept, encrypted, what citizens say of themselves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from govid.bus import Database, Transaction
from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.crypto import AuthenticatedCipher, EncryptedColumn, NotDecryptable

PURPOSE = b"govid claimed facts"

_PUT = """
    INSERT INTO identity.claimed_facts (account_id, sealed, claimed_at) VALUES ($1, $2, $3)
    ON CONFLICT (account_id) DO UPDATE
    SET sealed = excluded.sealed, claimed_at = excluded.claimed_at, confirmed_at = NULL
"""
_CONFIRM = "UPDATE identity.claimed_facts SET confirmed_at = $2 WHERE account_id = $1"
_FORGET = "DELETE FROM identity.claimed_facts WHERE account_id = ANY ($1)"
_OF = "SELECT sealed, claimed_at, confirmed_at FROM identity.claimed_facts WHERE account_id = $1"


class UnreadableFacts(RuntimeError):
    """Stored facts cannot be opened: GOVID_KEY_ENCRYPTION_KEY is another or missing."""


class KeptFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has said, and when a department has confirmed it."""

    facts: ClaimedFacts
    claimed_at: datetime
    confirmed_at: datetime | None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<KeptFacts>"


class FactsSeal:
    """Encrypts facts for storage, with keys derived from the operator's."""

    def __init__(self, *keys: bytes) -> None:
        """Encrypt under the first of *keys*, which are of any length; decrypt under any."""
        self.cipher = AuthenticatedCipher(keys, PURPOSE)

    def close(self, account_id: UUID, facts: ClaimedFacts) -> bytes:
        """Return *facts* encrypted, and bound to the account."""
        return self.cipher.encrypt(msgspec.json.encode(facts), account_id.bytes)

    def open(self, account_id: UUID, sealed: bytes) -> ClaimedFacts:
        """Return the account's facts in the open.

        Raises:
            UnreadableFacts: they were sealed under another key, or were changed since.
        """
        try:
            plain = self.cipher.decrypt(sealed, account_id.bytes)
        except NotDecryptable as error:
            raise UnreadableFacts(UnreadableFacts.__doc__) from error
        return msgspec.json.decode(plain, type=ClaimedFacts)


def encrypted_facts(seal: FactsSeal) -> EncryptedColumn:
    """Return the column of claimed facts."""
    return EncryptedColumn(
        table="identity.claimed_facts",
        key="account_id",
        value="sealed",
        condition="true",
        cipher=seal.cipher,
        context=lambda account_id: bytes(account_id.bytes),
    )


class Facts:
    """The claimed facts: at most one set for each account."""

    def __init__(self, database: Database, seal: FactsSeal) -> None:
        """Keep them under *seal*; read outside of transactions from *database*."""
        self._database = database
        self._seal = seal

    async def put(self, tx: Transaction, account_id: UUID, facts: ClaimedFacts) -> None:
        """Keep *facts*, which nobody has confirmed, in place of older ones."""
        sealed = self._seal.close(account_id, facts)
        await tx.driver.execute(_PUT, account_id, sealed, tx.now)

    async def confirm(self, tx: Transaction, account_id: UUID) -> None:
        """Note that a department has confirmed them."""
        await tx.driver.execute(_CONFIRM, account_id, tx.now)

    async def forget(self, tx: Transaction, account_ids: Sequence[UUID]) -> None:
        """Delete what these accounts' holders have said."""
        await tx.driver.execute(_FORGET, list(account_ids))

    async def of(self, account_id: UUID) -> ClaimedFacts | None:
        """Return what the holder says; it is the port that departments ask through."""
        kept = await self.kept(account_id)
        return None if kept is None else kept.facts

    async def kept(self, account_id: UUID) -> KeptFacts | None:
        """Return what the holder says, and what is known about that.

        Raises:
            UnreadableFacts: they were sealed under another key, or were changed since.
        """
        row: Any = await self._database.reads.fetchrow(_OF, account_id)
        if row is None:
            return None
        return KeptFacts(
            facts=self._seal.open(account_id, row["sealed"]),
            claimed_at=row["claimed_at"],
            confirmed_at=row["confirmed_at"],
        )
