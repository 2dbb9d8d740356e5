"""Consents that were given at HMRC, with what they open.

References and tokens are stored encrypted. Times are the database's, so that all replicas agree on
them.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Sequence, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Transaction
from govid.hmrc.models import Consent, ConsentRequest
from govid.hmrc.seal import Seal

CONSENT_LIFE = timedelta(days=548)
"""Eighteen months; HMRC alone knows to the day."""
CLAIM_LIFE = timedelta(seconds=20)
"""Longer than a call to HMRC can take."""
EARLY = 0.8
"""The part of a token's life after which it is renewed."""

HOLDING = b"holding"
_GENERATIONS = Sequence("consent_generation", schema="hmrc")
"""Of all accounts: what is late for a deleted consent fits none that was given since."""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What opens somebody's tax records at HMRC, and the reference they stand under."""

    utr: str
    access_token: str
    refresh_token: str

    def __repr__(self) -> str:
        """Show nothing (I9)."""
        return "<Holding>"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as it is stored; one that has lapsed or cannot be opened holds nothing.

    `generation` tells the tokens of one exchange from those of the next.
    """

    generation: int
    holding: Holding | None
    is_fresh: bool


class Dates(msgspec.Struct, frozen=True, kw_only=True):
    """When a consent was given, until when it may last, and when it lapsed, if it has."""

    granted_at: datetime
    ends_at: datetime
    lapsed_at: datetime | None


class Consents:
    """The consents: at most one for each account."""

    def __init__(self, singles: AsyncEngine, seal: Seal) -> None:
        """Keep them under *seal*; the statements of *singles* commit by themselves."""
        self._singles = singles
        self._seal = seal

    async def grant(
        self, tx: Transaction, account_id: UUID, holding: Holding, life_seconds: float
    ) -> None:
        """Keep *holding*, in place of what was held before."""
        statement = insert(Consent).values(
            account_id=account_id,
            generation=_GENERATIONS.next_value(),
            granted_at=func.clock_timestamp(),
            ends_at=func.clock_timestamp() + CONSENT_LIFE,
            **self._held(account_id, holding, life_seconds),
        )
        columns = ("sealed", "renew_at", "claimed_until", "granted_at", "ends_at", "lapsed_at")
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[Consent.account_id],
                set_={name: statement.excluded[name] for name in ("generation", *columns)},
            )
        )

    async def dates(self, account_id: UUID) -> Dates | None:
        """Return how the account's consent stands, if it has one. Nothing is opened for that."""
        statement = select(Consent.granted_at, Consent.ends_at, Consent.lapsed_at).where(
            Consent.account_id == account_id
        )
        async with self._singles.connect() as connection:
            row = (await connection.execute(statement)).mappings().first()
        return None if row is None else Dates(**row)

    async def find(self, account_id: UUID) -> Kept | None:
        """Return the account's consent, if it has one, also if it has lapsed."""
        statement = select(
            Consent.generation,
            Consent.sealed,
            (Consent.renew_at > func.clock_timestamp()).label("is_fresh"),
        ).where(Consent.account_id == account_id)
        async with self._singles.connect() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        plain = self._seal.find(account_id, HOLDING, row.sealed)
        return Kept(
            generation=row.generation,
            holding=None if plain is None else msgspec.json.decode(plain, type=Holding),
            is_fresh=row.is_fresh,
        )

    async def claim(self, account_id: UUID, generation: int) -> bool:
        """Claim the right to renew these tokens; of all who ask at once, one gets it.

        It is no lock, which would be held with its transaction for as long as HMRC is silent (I2).
        """
        return await self._alone(
            update(Consent)
            .where(
                *_of(account_id, generation),
                Consent.lapsed_at.is_(None),
                or_(
                    Consent.claimed_until.is_(None),
                    Consent.claimed_until <= func.clock_timestamp(),
                ),
            )
            .values(claimed_until=func.clock_timestamp() + CLAIM_LIFE)
        )

    async def release(self, account_id: UUID, generation: int) -> None:
        """Give the right back unused."""
        await self._alone(
            update(Consent).where(*_of(account_id, generation)).values(claimed_until=None)
        )

    async def renewed(
        self,
        tx: Transaction,
        account_id: UUID,
        generation: int,
        holding: Holding,
        life_seconds: float,
        *,
        lapsed: bool = False,
    ) -> bool:
        """Keep what came for the tokens of *generation*; tell whether they were still held.

        With *lapsed*, it is what somebody took for lapsed who came later and was refused for that.
        """
        kept = await tx.execute(
            update(Consent)
            .where(*_of(account_id, generation), Consent.lapsed_at.is_not(None) == lapsed)
            .values(
                generation=_GENERATIONS.next_value(),
                **self._held(account_id, holding, life_seconds),
            )
        )
        return bool(kept.rowcount)

    async def lapse(self, tx: Transaction, account_id: UUID, generation: int) -> bool:
        """Forget what is held of *generation*, as it opens nothing; tell whether it was held."""
        lapsed = await tx.execute(
            update(Consent)
            .where(*_of(account_id, generation), Consent.lapsed_at.is_(None))
            .values(sealed=None, claimed_until=None, lapsed_at=func.clock_timestamp())
        )
        return bool(lapsed.rowcount)

    async def forget(self, tx: Transaction, account_id: UUID) -> bool:
        """Delete all of it, also what was only begun; tell whether there was a consent."""
        await tx.execute(delete(ConsentRequest).where(ConsentRequest.account_id == account_id))
        forgotten = await tx.execute(delete(Consent).where(Consent.account_id == account_id))
        return bool(forgotten.rowcount)

    def _held(self, account_id: UUID, holding: Holding, life_seconds: float) -> dict[str, Any]:
        return {
            "sealed": self._seal.close(account_id, HOLDING, msgspec.json.encode(holding)),
            "renew_at": func.clock_timestamp() + timedelta(seconds=life_seconds * EARLY),
            "claimed_until": None,
            "lapsed_at": None,
        }

    async def _alone(self, statement: Any) -> bool:
        """Run one statement that commits by itself; tell whether it changed anything."""
        async with self._singles.connect() as connection:
            return bool((await connection.execute(statement)).rowcount)


def _of(account_id: UUID, generation: int) -> tuple[Any, ...]:
    return Consent.account_id == account_id, Consent.generation == generation
