"""Where signing keys are read and written."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from govid.bus import Transaction
from govid.identity.models import SigningKey

State = Literal["next", "active", "retiring", "retired"]
ADVISORY_LOCK = 0x6B657973
"""Held by the one who changes states: "keys" in hexadecimal."""


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key as the database has it. `private_key` may be sealed."""

    kid: str
    public_key: bytes
    private_key: bytes
    sealed: bool

    def __repr__(self) -> str:
        """Name the key only (I9)."""
        return f"<StoredKey {self.kid}>"


class PublishedKey(msgspec.Struct, frozen=True, kw_only=True):
    """What others may know of a key that is not retired; `is_due` when its next state is."""

    kid: str
    public_key: bytes
    state: State
    is_due: bool


class KeyState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a key is. A `next` key becomes active, a `retiring` one retired, at `due_at`."""

    kid: str
    algorithm: str
    state: State
    created_at: datetime
    due_at: datetime | None


class SigningKeys:
    """The keys that sign access tokens."""

    async def propose(self, tx: Transaction, key: StoredKey, algorithm: str) -> None:
        """Make *key* the active one, unless there is one already or another replica was faster."""
        values = {**msgspec.structs.asdict(key), "algorithm": algorithm, "created_at": tx.now}
        await tx.execute(
            upsert(SigningKey).values(**values, state="active").on_conflict_do_nothing()
        )

    async def announce(
        self, tx: Transaction, key: StoredKey, algorithm: str, *, published: timedelta
    ) -> bool:
        """Publish *key* as the next one, unless there is one; it is due after so long."""
        values = {**msgspec.structs.asdict(key), "algorithm": algorithm, "created_at": tx.now}
        result = await tx.execute(
            upsert(SigningKey)
            .values(**values, state="next", due_at=func.clock_timestamp() + published)
            .on_conflict_do_nothing()
            .returning(SigningKey.kid)
        )
        return result.first() is not None

    async def active(self, tx: Transaction, algorithm: str) -> StoredKey | None:
        """Return the key that signs now."""
        statement = select(
            SigningKey.kid, SigningKey.public_key, SigningKey.private_key, SigningKey.sealed
        ).where(SigningKey.algorithm == algorithm, SigningKey.state == "active")
        row = (await tx.execute(statement)).mappings().first()
        return None if row is None else StoredKey(**row)

    async def published(self, tx: Transaction, algorithm: str) -> Sequence[PublishedKey]:
        """Return the keys that are not retired, the one that signs first."""
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
        return [PublishedKey(**row) for row in (await tx.execute(statement)).mappings()]

    async def states(self, tx: Transaction) -> Sequence[KeyState]:
        """Return every key there ever was, the oldest first."""
        statement = select(
            SigningKey.kid,
            SigningKey.algorithm,
            SigningKey.state,
            SigningKey.created_at,
            SigningKey.due_at,
        ).order_by(SigningKey.created_at)
        return [KeyState(**row) for row in (await tx.execute(statement)).mappings()]

    async def lock(self, tx: Transaction) -> None:
        """Let nobody else change states until *tx* ends."""
        await tx.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))

    async def put_away(self, tx: Transaction, algorithm: str, *, kept: timedelta) -> str | None:
        """Let the active key sign nothing more; it is believed for *kept*. Return which it was."""
        result = await tx.execute(
            update(SigningKey)
            .where(SigningKey.algorithm == algorithm, SigningKey.state == "active")
            .values(state="retiring", due_at=func.clock_timestamp() + kept)
            .returning(SigningKey.kid)
        )
        return result.scalars().first()

    async def activate(self, tx: Transaction, algorithm: str) -> str | None:
        """Let the next key sign. Return which it is."""
        result = await tx.execute(
            update(SigningKey)
            .where(SigningKey.algorithm == algorithm, SigningKey.state == "next")
            .values(state="active", due_at=None)
            .returning(SigningKey.kid)
        )
        return result.scalars().first()

    async def retire(self, tx: Transaction, kid: str) -> None:
        """Believe the key no more, and forget its private half."""
        await tx.execute(
            update(SigningKey)
            .where(SigningKey.kid == kid)
            .values(state="retired", due_at=None, private_key=None)
        )

    async def seal(self, tx: Transaction, key: StoredKey) -> None:
        """Keep the private half of *key* sealed from now on."""
        await tx.execute(
            update(SigningKey)
            .where(SigningKey.kid == key.kid, SigningKey.sealed.is_(False))
            .values(private_key=key.private_key, sealed=True)
        )
