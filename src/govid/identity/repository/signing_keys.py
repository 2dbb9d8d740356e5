"""Where signing keys are read and written."""

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from govid.bus import Transaction
from govid.identity.models import SigningKey


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key as the database has it. `private_key` may be sealed."""

    kid: str
    public_key: bytes
    private_key: bytes
    sealed: bool

    def __repr__(self) -> str:
        """Name the key only (I9)."""
        return f"<StoredKey {self.kid}>"


class SigningKeys:
    """The keys that sign access tokens."""

    async def propose(self, tx: Transaction, key: StoredKey, algorithm: str) -> None:
        """Make *key* the active one, unless there is one already or another replica was faster."""
        await tx.execute(
            upsert(SigningKey)
            .values(
                kid=key.kid,
                algorithm=algorithm,
                public_key=key.public_key,
                private_key=key.private_key,
                sealed=key.sealed,
                state="active",
                created_at=tx.now,
            )
            .on_conflict_do_nothing()
        )

    async def active(self, tx: Transaction, algorithm: str) -> StoredKey | None:
        """Return the key that signs now."""
        statement = select(
            SigningKey.kid, SigningKey.public_key, SigningKey.private_key, SigningKey.sealed
        ).where(SigningKey.algorithm == algorithm, SigningKey.state == "active")
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else StoredKey(**row)

    async def seal(self, tx: Transaction, key: StoredKey) -> None:
        """Keep the private half of *key* sealed from now on."""
        await tx.execute(
            update(SigningKey)
            .where(SigningKey.kid == key.kid, SigningKey.sealed.is_(False))
            .values(private_key=key.private_key, sealed=True)
        )
