"""Provides the consent tokens of a citizen, with refresh-token rotation by one task at a time.

HMRC accepts a refresh token once, and ends the consent if it is presented twice. So a task claims
the renewal in the row first; other tasks wait for the result, in this process and in others.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import msgspec

from govid.bus import OperationContext, Outage, UnitOfWork
from govid.bus.contracts import TaxConsentGranted, TaxConsentLapsed
from govid.hmrc.errors import ConsentExpired, ConsentNeeded, HmrcUnavailable
from govid.hmrc.registry.taxes import ConsentClient, ReconsentRequired
from govid.hmrc.repository import ConsentRepository, ConsentTokens

WAIT_SECONDS = 12.0
"""How long to wait for another task's renewal: a call to HMRC takes ten seconds at most."""
POLL_SECONDS = 0.1
CLOSE_SECONDS = 5.0
"""How long shutdown waits for running renewals.

A call to HMRC may take longer than shutdown may; then that citizen has to consent again.
"""


class ActiveConsentTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The current consent tokens, and the generation of the exchange that issued them."""

    tokens: ConsentTokens
    generation: int

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class ConsentTokenProvider:
    """Provides the consent tokens of an account, renewed when necessary."""

    def __init__(self, uow: UnitOfWork, client: ConsentClient, consents: ConsentRepository) -> None:
        """Renew tokens with *client*; store them in *consents*."""
        self._uow = uow
        self._client = client
        self._consents = consents
        self._renewals: set[asyncio.Task[None]] = set()

    async def get(
        self, account_id: UUID, cause: OperationContext, refused_generation: int | None = None
    ) -> ActiveConsentTokens:
        """Return consent tokens, renewed if they expire soon or are of *refused_generation*.

        Raises:
            ConsentNeeded: there is no consent.
            ConsentExpired: the consent has ended.
            HmrcUnavailable: the tokens cannot be renewed now.
        """
        until = asyncio.get_running_loop().time() + WAIT_SECONDS
        while asyncio.get_running_loop().time() < until:
            stored = await self._consents.find(account_id)
            if stored is None:
                raise ConsentNeeded
            if stored.tokens is None:
                raise ConsentExpired
            if stored.is_fresh and stored.generation != refused_generation:
                return ActiveConsentTokens(tokens=stored.tokens, generation=stored.generation)
            if await self._consents.claim_renewal(account_id, stored.generation):
                await self._run_to_completion(
                    self._renew(account_id, stored.generation, stored.tokens, cause)
                )
            else:
                await asyncio.sleep(POLL_SECONDS)
        raise HmrcUnavailable

    async def expire(self, account_id: UUID, generation: int, cause: OperationContext) -> None:
        """Delete the tokens of a consent that has ended."""
        async with self._uow.begin(cause) as tx:
            if await self._consents.mark_lapsed(tx, account_id, generation):
                tx.emit(TaxConsentLapsed(account_id=account_id, timestamp=tx.now))

    async def close(self) -> None:
        """Wait for renewals whose requests were cancelled, for at most `CLOSE_SECONDS`.

        Call it when no request runs any more, and the database and HMRC can still be reached.
        """
        if not self._renewals:
            return
        _, late = await asyncio.wait(self._renewals, timeout=CLOSE_SECONDS)
        for renewal in late:
            renewal.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _run_to_completion(self, renewing: Coroutine[Any, Any, None]) -> None:
        """Wait for *renewing*, which continues if the request that waits for it is cancelled.

        HMRC accepts no refresh token twice, so the tokens it issued must not be lost.
        """
        renewal = asyncio.create_task(renewing)
        self._renewals.add(renewal)
        renewal.add_done_callback(self._on_renewal_done)
        await asyncio.shield(renewal)

    def _on_renewal_done(self, renewal: asyncio.Task[None]) -> None:
        self._renewals.discard(renewal)
        if not renewal.cancelled():
            # A waiting request gets the error; for a cancelled one, asyncio must not log it.
            renewal.exception()

    async def _renew(
        self, account_id: UUID, generation: int, tokens: ConsentTokens, cause: OperationContext
    ) -> None:
        try:
            granted = await self._client.renew(tokens.refresh_token, cause.correlation_id)
        except ReconsentRequired:
            await self.expire(account_id, generation, cause)
            return
        except Outage as outage:
            await self._consents.release_renewal(account_id, generation)
            raise HmrcUnavailable from outage
        renewed = msgspec.structs.replace(
            tokens, access_token=granted.access_token, refresh_token=granted.refresh_token
        )
        await self._store(account_id, generation, renewed, granted.life_seconds, cause)

    async def _store(
        self,
        account_id: UUID,
        generation: int,
        tokens: ConsentTokens,
        life_seconds: float,
        cause: OperationContext,
    ) -> None:
        """Store renewed tokens; a consent marked as lapsed in the meantime is granted again."""
        renewal = (account_id, generation, tokens, life_seconds)
        async with self._uow.begin(cause) as tx:
            if await self._consents.store_renewed(tx, *renewal):
                return
            if await self._consents.store_renewed(tx, *renewal, is_lapsed=True):
                tx.emit(TaxConsentGranted(account_id=account_id, timestamp=tx.now))
