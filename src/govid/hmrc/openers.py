"""What opens a citizen's tax records: kept, renewed in time, by one at a time.

HMRC takes a refresh token once, and ends the consent if two come with it. Whoever renews claims
that in the row first; everybody else waits for the result, in this process and in others.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import msgspec

from govid.bus import Cause, Outage, UnitOfWork
from govid.bus.contracts import TaxConsentGranted, TaxConsentLapsed
from govid.hmrc.errors import ConsentHasLapsed, ConsentNeeded, HmrcIsAway
from govid.hmrc.registry.taxes import ConsentDesk, ReconsentRequired
from govid.hmrc.repository import Consents, Holding

WAIT_SECONDS = 12.0
"""How long others may take to renew: a call to HMRC takes ten seconds at most."""
POLL_SECONDS = 0.1
CLOSE_SECONDS = 5.0
"""How long renewals under way are waited for when the process stops.

A call to HMRC may take longer, and whoever stops govid may not wait: that citizen consents again.
"""


class Opener(msgspec.Struct, frozen=True, kw_only=True):
    """What opens the records now, and of which exchange it is."""

    holding: Holding
    generation: int

    def __repr__(self) -> str:
        """Show nothing (I9)."""
        return "<Opener>"


class Openers:
    """Finds what opens an account's tax records."""

    def __init__(self, uow: UnitOfWork, desk: ConsentDesk, consents: Consents) -> None:
        """Renew at *desk*; keep in *consents*."""
        self._uow = uow
        self._desk = desk
        self._consents = consents
        self._renewals: set[asyncio.Task[None]] = set()

    async def of(self, account_id: UUID, cause: Cause, refused: int | None = None) -> Opener:
        """Return an opener, renewed if its time is nearly over or its generation was *refused*.

        Raises:
            ConsentNeeded: there is no consent.
            ConsentHasLapsed: there is one no more.
            HmrcIsAway: it cannot be renewed now.
        """
        until = asyncio.get_running_loop().time() + WAIT_SECONDS
        while asyncio.get_running_loop().time() < until:
            kept = await self._consents.find(account_id)
            if kept is None:
                raise ConsentNeeded
            if kept.holding is None:
                raise ConsentHasLapsed
            if kept.is_fresh and kept.generation != refused:
                return Opener(holding=kept.holding, generation=kept.generation)
            if await self._consents.claim(account_id, kept.generation):
                await self._see_through(
                    self._renew(account_id, kept.generation, kept.holding, cause)
                )
            else:
                await asyncio.sleep(POLL_SECONDS)
        raise HmrcIsAway

    async def lapse(self, account_id: UUID, generation: int, cause: Cause) -> None:
        """Forget what opens nothing any more."""
        async with self._uow.begin(cause) as tx:
            if await self._consents.lapse(tx, account_id, generation):
                tx.emit(TaxConsentLapsed(account_id=account_id, timestamp=tx.now))

    async def close(self) -> None:
        """Wait for what is being renewed for requests that were given up, and not for ever.

        Call it when no request runs any more, and the database and HMRC can still be reached.
        """
        if not self._renewals:
            return
        _, late = await asyncio.wait(self._renewals, timeout=CLOSE_SECONDS)
        for renewal in late:
            renewal.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _see_through(self, renewing: Coroutine[Any, Any, None]) -> None:
        """Wait for *renewing*, which goes on when the request that waits for it is given up.

        HMRC takes no refresh token twice, so what it gave for one must not be dropped.
        """
        renewal = asyncio.create_task(renewing)
        self._renewals.add(renewal)
        renewal.add_done_callback(self._seen_through)
        await asyncio.shield(renewal)

    def _seen_through(self, renewal: asyncio.Task[None]) -> None:
        self._renewals.discard(renewal)
        if not renewal.cancelled():
            # Whoever still waits is told; a request that was given up needs no complaint.
            renewal.exception()

    async def _renew(
        self, account_id: UUID, generation: int, holding: Holding, cause: Cause
    ) -> None:
        try:
            granted = await self._desk.renew(holding.refresh_token, cause.correlation_id)
        except ReconsentRequired:
            await self.lapse(account_id, generation, cause)
            return
        except Outage as outage:
            await self._consents.release(account_id, generation)
            raise HmrcIsAway from outage
        renewed = msgspec.structs.replace(
            holding, access_token=granted.access_token, refresh_token=granted.refresh_token
        )
        await self._keep(account_id, generation, renewed, granted.life_seconds, cause)

    async def _keep(
        self,
        account_id: UUID,
        generation: int,
        holding: Holding,
        life_seconds: float,
        cause: Cause,
    ) -> None:
        """Keep what was renewed; a consent that was taken for lapsed meanwhile is granted again."""
        kept = (account_id, generation, holding, life_seconds)
        async with self._uow.begin(cause) as tx:
            if await self._consents.renewed(tx, *kept):
                return
            if await self._consents.renewed(tx, *kept, lapsed=True):
                tx.emit(TaxConsentGranted(account_id=account_id, timestamp=tx.now))
