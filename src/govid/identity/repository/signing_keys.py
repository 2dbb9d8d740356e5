"""Reads and writes signing keys and their states."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Literal

import msgspec
from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from govid.bus import Transaction
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.models import SigningKey

SigningKeyState = Literal["next", "active", "retiring", "retired"]
ADVISORY_LOCK = 0x6B657973
"""Held by a transaction that changes states: "keys" in hexadecimal."""


class StoredKey(RedactedStruct, frozen=True, kw_only=True):
    """A signing key as stored. `private_key` is encrypted if `sealed` is set."""

    kid: str
    public_key: bytes
    private_key: bytes
    sealed: bool

    repr_members: ClassVar[tuple[str, ...]] = ("kid",)


class VerifyingKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public data of a key that is not retired, so that its tokens are accepted.

    `is_due` is true if its next step is due.
    """

    kid: str
    public_key: bytes
    state: SigningKeyState
    is_due: bool


class KeyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a key. At `due_at` a `next` key becomes active, a `retiring` one retired."""

    kid: str
    algorithm: str
    state: SigningKeyState
    created_at: datetime
    due_at: datetime | None


class SigningKeyRepository:
    """Inserts signing keys and changes their states."""

    async def insert_active(self, tx: Transaction, key: StoredKey, algorithm: str) -> None:
        """Insert *key* as the active one, unless an active key exists."""
        values = {**msgspec.structs.asdict(key), "algorithm": algorithm, "created_at": tx.now}
        await tx.execute(
            upsert(SigningKey).values(**values, state="active").on_conflict_do_nothing()
        )

    async def insert_next(
        self, tx: Transaction, key: StoredKey, algorithm: str, *, activate_after: timedelta
    ) -> bool:
        """Insert *key* as the next one, due after *activate_after*; False if there is one."""
        values = {**msgspec.structs.asdict(key), "algorithm": algorithm, "created_at": tx.now}
        result = await tx.execute(
            upsert(SigningKey)
            .values(**values, state="next", due_at=func.clock_timestamp() + activate_after)
            .on_conflict_do_nothing()
            .returning(SigningKey.kid)
        )
        return result.first() is not None

    async def fetch_active(self, tx: Transaction, algorithm: str) -> StoredKey | None:
        """Return the active key."""
        statement = select(
            SigningKey.kid, SigningKey.public_key, SigningKey.private_key, SigningKey.sealed
        ).where(SigningKey.algorithm == algorithm, SigningKey.state == "active")
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else StoredKey(**row)

    async def fetch_verifying(self, tx: Transaction, algorithm: str) -> Sequence[VerifyingKey]:
        """Return the keys that are not retired, the active one first."""
        statement = (
            select(
                SigningKey.kid,
                SigningKey.public_key,
                SigningKey.state,
                func.coalesce(SigningKey.due_at <= func.clock_timestamp(), False).label("is_due"),
            )
            .where(SigningKey.algorithm == algorithm, SigningKey.state != "retired")
            .order_by(case((SigningKey.state == "active", 0), else_=1), SigningKey.created_at)
        )
        return [VerifyingKey(**row) for row in (await tx.execute(statement)).mappings()]

    async def fetch_states(self, tx: Transaction) -> Sequence[KeyStatus]:
        """Return the state of every key, including retired ones, the oldest first."""
        statement = select(
            SigningKey.kid,
            SigningKey.algorithm,
            SigningKey.state,
            SigningKey.created_at,
            SigningKey.due_at,
        ).order_by(SigningKey.created_at)
        return [KeyStatus(**row) for row in (await tx.execute(statement)).mappings()]

    async def lock_states(self, tx: Transaction) -> None:
        """Exclude other transactions from changing states until *tx* ends."""
        await tx.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))

    async def start_retiring(
        self, tx: Transaction, algorithm: str, *, retire_after: timedelta
    ) -> str | None:
        """Set the active key to retiring, due after *retire_after*; return its id."""
        result = await tx.execute(
            update(SigningKey)
            .where(SigningKey.algorithm == algorithm, SigningKey.state == "active")
            .values(state="retiring", due_at=func.clock_timestamp() + retire_after)
            .returning(SigningKey.kid)
        )
        return result.scalars().first()

    async def activate_next(self, tx: Transaction, algorithm: str) -> str | None:
        """Set the next key to active; return its id."""
        result = await tx.execute(
            update(SigningKey)
            .where(SigningKey.algorithm == algorithm, SigningKey.state == "next")
            .values(state="active", due_at=None)
            .returning(SigningKey.kid)
        )
        return result.scalars().first()

    async def retire(self, tx: Transaction, kid: str) -> None:
        """Retire the key and delete its private key."""
        await tx.execute(
            update(SigningKey)
            .where(SigningKey.kid == kid)
            .values(state="retired", due_at=None, private_key=None)
        )

    async def store_encrypted(self, tx: Transaction, key: StoredKey) -> None:
        """Store the encrypted private key of *key* in place of the plain one."""
        await tx.execute(
            update(SigningKey)
            .where(SigningKey.kid == key.kid, SigningKey.sealed.is_(False))
            .values(private_key=key.private_key, sealed=True)
        )
