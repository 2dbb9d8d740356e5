"""OAuth consent to tax records: start, grant and withdraw it; rotation of HMRC refresh tokens.

HMRC sends the browser back to a page of the service that calls govid. That service passes on the
code and the state that the browser returned, with the citizen's own access token (ADR-0019). A
started consent belongs to the account that started it. If the link is sent to another person, the
sender gets no access to that person's records.

HMRC accepts a refresh token once, and ends the consent if it is presented twice. So a task claims
the renewal in the row first; other tasks wait for the result, in this process and in others.
"""

import asyncio
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Coroutine
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from govid.bus import (
    BlockedAccounts,
    OperationContext,
    Outage,
    Principal,
    QuotaCounters,
    QuotaRule,
    UnitOfWork,
    rerun_on_conflict,
)
from govid.bus.events import TaxConsentGranted, TaxConsentLapsed, TaxConsentWithdrawn
from govid.bus.shared.assurance import AccountIsBlocked, IdentityAssurance, require_assurance
from govid.bus.shared.privacy import RedactedStruct
from govid.hmrc.clients.interfaces import ConsentClient, InvalidConsentCode, ReconsentRequired
from govid.hmrc.errors import (
    ConsentCodeRefused,
    ConsentExpired,
    ConsentNeeded,
    ConsentNotStarted,
    HmrcUnavailable,
    StepUpRequired,
    TaxRecordsDisabled,
)
from govid.hmrc.repository import ConsentRepository, ConsentRequestRepository, ConsentTokens
from govid.hmrc.schemas import ConsentBegunView, ConsentView, GrantConsent

WAIT_SECONDS = 12.0
"""How long to wait for another task's renewal: a call to HMRC takes ten seconds at most."""
POLL_SECONDS = 0.1
CLOSE_SECONDS = 5.0
"""How long shutdown waits for running renewals.

A call to HMRC may take longer than shutdown may; then that citizen has to consent again.
"""


class ActiveConsentTokens(RedactedStruct, frozen=True, kw_only=True):
    """The current consent tokens, and the generation of the exchange that issued them."""

    tokens: ConsentTokens
    generation: int


class ConsentTokenProvider:
    """Provides the consent tokens of an account, renewed when necessary."""

    def __init__(self, uow: UnitOfWork, client: ConsentClient, consents: ConsentRepository) -> None:
        """Renew tokens with *client*; store them in *consents*."""
        self._uow = uow
        self._client = client
        self._consents = consents
        self._renewals: set[asyncio.Task[None]] = set()

    async def get(
        self, account_id: UUID, context: OperationContext, refused_generation: int | None = None
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
                    self._renew(account_id, stored.generation, stored.tokens, context)
                )
            else:
                await asyncio.sleep(POLL_SECONDS)
        raise HmrcUnavailable

    async def expire(self, account_id: UUID, generation: int, context: OperationContext) -> None:
        """Delete the tokens of a consent that has ended."""
        async with self._uow.begin(context) as tx:
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
        self, account_id: UUID, generation: int, tokens: ConsentTokens, context: OperationContext
    ) -> None:
        try:
            granted = await self._client.renew(tokens.refresh_token, context.correlation_id)
        except ReconsentRequired:
            await self.expire(account_id, generation, context)
            return
        except Outage as outage:
            await self._consents.release_renewal(account_id, generation)
            raise HmrcUnavailable from outage
        renewed = msgspec.structs.replace(
            tokens, access_token=granted.access_token, refresh_token=granted.refresh_token
        )
        await self._store(account_id, generation, renewed, granted.life_seconds, context)

    async def _store(
        self,
        account_id: UUID,
        generation: int,
        tokens: ConsentTokens,
        life_seconds: float,
        context: OperationContext,
    ) -> None:
        """Store renewed tokens; a consent marked as lapsed in the meantime is granted again."""
        renewal = (account_id, generation, tokens, life_seconds)
        async with self._uow.begin(context) as tx:
            if await self._consents.store_renewed(tx, *renewal):
                return
            if await self._consents.store_renewed(tx, *renewal, is_lapsed=True):
                tx.emit(TaxConsentGranted(account_id=account_id, timestamp=tx.now))


STATE_BYTES = 32
VERIFIER_BYTES = 32
HOUR_SECONDS = 3600


class TaxConsentService:
    """Starts, grants, shows and withdraws a citizen's consent to tax records."""

    def __init__(
        self,
        uow: UnitOfWork,
        client: ConsentClient | None,
        accounts: BlockedAccounts,
        requests: ConsentRequestRepository,
        consents: ConsentRepository,
        quotas: QuotaCounters,
        *,
        required_assurance: IdentityAssurance,
        max_per_hour: int,
    ) -> None:
        """Send citizens to *client*; None means that HMRC is not connected.

        An account may start a consent *max_per_hour* times; 0 is no limit. Each start allows at
        most one code exchange, so this also bounds the calls to HMRC.
        """
        self._uow = uow
        self._client = client
        self._accounts = accounts
        self._requests = requests
        self._consents = consents
        self._quotas = quotas
        self._required_assurance = required_assurance
        self._max_per_hour = max_per_hour

    @rerun_on_conflict
    async def start(self, principal: Principal, context: OperationContext) -> ConsentBegunView:
        """Start a consent and return the address at which the citizen gives it.

        A consent that was started before can no longer be completed.

        Raises:
            GovidError: HMRC is not connected, the account may not consent, or its quota is reached.
        """
        client = self._require_client()
        require_assurance(principal, self._required_assurance, StepUpRequired)
        state = secrets.token_urlsafe(STATE_BYTES)
        verifier = secrets.token_urlsafe(VERIFIER_BYTES)
        async with self._uow.begin(context) as tx:
            if await self._accounts.lock_and_check(tx, principal.account_id):
                raise AccountIsBlocked
            await self._quotas.consume_or_raise(
                tx,
                QuotaRule.for_account(
                    "consents", principal.account_id, self._max_per_hour, HOUR_SECONDS
                ),
            )
            expires_at = await self._requests.store(tx, principal.account_id, state, verifier)
        return ConsentBegunView(
            authorisation_url=client.authorisation_url(state, _code_challenge(verifier)),
            expires_at=expires_at,
        )

    async def grant(
        self, request: GrantConsent, principal: Principal, context: OperationContext
    ) -> ConsentView:
        """Exchange the code that the browser returned for tokens, and store them.

        The state is consumed first, whatever the result, so that it cannot be used to try several
        codes. A withdrawal during the call to HMRC also withdraws this consent.

        Raises:
            GovidError: this account has not started it, or HMRC refuses the code or is unavailable.
        """
        client = self._require_client()
        require_assurance(principal, self._required_assurance, StepUpRequired)
        account_id = principal.account_id
        async with self._uow.begin(context) as tx:
            verifier = await self._requests.consume(tx, account_id, request.state)
        if verifier is None:
            raise ConsentNotStarted
        try:
            granted = await client.redeem(request.code, verifier, context.correlation_id)
        except InvalidConsentCode as error:
            raise ConsentCodeRefused from error
        except Outage as outage:
            raise HmrcUnavailable from outage
        tokens = ConsentTokens(
            utr=request.reference,
            access_token=granted.access_token,
            refresh_token=granted.refresh_token,
        )
        async with self._uow.begin(context) as tx:
            if await self._accounts.lock_and_check(tx, account_id):
                raise AccountIsBlocked
            if not await self._requests.complete(tx, account_id, request.state):
                raise ConsentNotStarted
            await self._consents.store(tx, account_id, tokens, granted.life_seconds)
            tx.emit(TaxConsentGranted(account_id=account_id, timestamp=tx.now))
        return await self.get_status(principal)

    async def get_status(self, principal: Principal) -> ConsentView:
        """Return the status of the principal's consent."""
        dates = await self._consents.get_dates(principal.account_id)
        if dates is None:
            return ConsentView(status="none")
        return ConsentView(
            status="granted" if dates.lapsed_at is None else "lapsed",
            granted_at=dates.granted_at,
            ends_at=dates.ends_at,
            lapsed_at=dates.lapsed_at,
        )

    @rerun_on_conflict
    async def withdraw(self, principal: Principal, context: OperationContext) -> None:
        """Delete the consent. At HMRC it stays valid until it ends or the citizen ends it there."""
        async with self._uow.begin(context) as tx:
            if await self._consents.delete(tx, principal.account_id):
                tx.emit(TaxConsentWithdrawn(account_id=principal.account_id, timestamp=tx.now))

    def _require_client(self) -> ConsentClient:
        if self._client is None:
            raise TaxRecordsDisabled
        return self._client


def _code_challenge(verifier: str) -> str:
    """Return the PKCE code challenge of *verifier*, the code verifier (RFC 7636, S256)."""
    digest = sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
