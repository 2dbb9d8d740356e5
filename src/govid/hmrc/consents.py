"""OAuth consent to tax records: the citizen starts it here, gives it at HMRC, and returns a code.

HMRC sends the browser back to a page of the service that calls govid. That service passes on the
code and the state that the browser returned, with the citizen's own access token (ADR-0019). A
started consent belongs to the account that started it: sending the link to another person gives
the sender nothing.
"""

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

from govid.bus import Cause, Outage, Principal, Quota, Quotas, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import TaxConsentGranted, TaxConsentWithdrawn
from govid.hmrc.errors import (
    AccountIsBlocked,
    CodeRefused,
    ConsentNotBegun,
    HmrcIsAway,
    TaxRecordsAreOff,
)
from govid.hmrc.level import check_level
from govid.hmrc.registry.taxes import CodeNotGood, ConsentDesk
from govid.hmrc.repository import Accounts, ConsentRequests, Consents, Holding
from govid.hmrc.schemas import ConsentBegunView, ConsentView, GrantConsent
from govid.hmrc.settings import Level

STATE_BYTES = 32
VERIFIER_BYTES = 32
HOUR_SECONDS = 3600


class TaxConsent:
    """Starts, grants, shows and withdraws a citizen's consent to tax records."""

    def __init__(
        self,
        uow: UnitOfWork,
        client: ConsentDesk | None,
        accounts: Accounts,
        requests: ConsentRequests,
        consents: Consents,
        quotas: Quotas,
        *,
        min_level: Level,
        most_per_hour: int,
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
        self._min_level = min_level
        self._max_per_hour = most_per_hour

    @rerun_on_conflict
    async def begin(self, principal: Principal, cause: Cause) -> ConsentBegunView:
        """Start a consent and return the address at which the citizen gives it.

        A consent that was started before can no longer be completed.

        Raises:
            GovidError: HMRC is not connected, the account may not consent, or its quota is reached.
        """
        client = self._require_client()
        check_level(principal, self._min_level)
        state = secrets.token_urlsafe(STATE_BYTES)
        verifier = secrets.token_urlsafe(VERIFIER_BYTES)
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock(tx, principal.account_id):
                raise AccountIsBlocked
            await self._quotas.spend(
                tx,
                Quota(
                    kind="consents",
                    bucket=str(principal.account_id),
                    most=self._max_per_hour,
                    seconds=HOUR_SECONDS,
                ),
            )
            expires_at = await self._requests.begin(tx, principal.account_id, state, verifier)
        return ConsentBegunView(
            authorisation_url=client.page(state, _challenge(verifier)), expires_at=expires_at
        )

    async def grant(self, grant: GrantConsent, principal: Principal, cause: Cause) -> ConsentView:
        """Exchange the code that the browser returned for tokens, and store them.

        The state is consumed first, whatever the result, so that it cannot be used to try several
        codes. A withdrawal during the call to HMRC also withdraws this consent.

        Raises:
            GovidError: this account has not started it, or HMRC refuses the code or is unavailable.
        """
        client = self._require_client()
        check_level(principal, self._min_level)
        account_id = principal.account_id
        async with self._uow.begin(cause) as tx:
            verifier = await self._requests.take(tx, account_id, grant.state)
        if verifier is None:
            raise ConsentNotBegun
        try:
            granted = await client.redeem(grant.code, verifier, cause.correlation_id)
        except CodeNotGood as error:
            raise CodeRefused from error
        except Outage as outage:
            raise HmrcIsAway from outage
        tokens = Holding(
            utr=grant.reference,
            access_token=granted.access_token,
            refresh_token=granted.refresh_token,
        )
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock(tx, account_id):
                raise AccountIsBlocked
            if not await self._requests.settle(tx, account_id, grant.state):
                raise ConsentNotBegun
            await self._consents.grant(tx, account_id, tokens, granted.life_seconds)
            tx.emit(TaxConsentGranted(account_id=account_id, timestamp=tx.now))
        return await self.status(principal)

    async def status(self, principal: Principal) -> ConsentView:
        """Return the status of the principal's consent."""
        dates = await self._consents.dates(principal.account_id)
        if dates is None:
            return ConsentView(status="none")
        return ConsentView(
            status="granted" if dates.lapsed_at is None else "lapsed",
            granted_at=dates.granted_at,
            ends_at=dates.ends_at,
            lapsed_at=dates.lapsed_at,
        )

    @rerun_on_conflict
    async def withdraw(self, principal: Principal, cause: Cause) -> None:
        """Delete the consent. At HMRC it stays valid until it ends or the citizen ends it there."""
        async with self._uow.begin(cause) as tx:
            if await self._consents.forget(tx, principal.account_id):
                tx.emit(TaxConsentWithdrawn(account_id=principal.account_id, timestamp=tx.now))

    def _require_client(self) -> ConsentDesk:
        if self._client is None:
            raise TaxRecordsAreOff
        return self._client


def _challenge(verifier: str) -> str:
    """Return the PKCE code challenge of *verifier*, the code verifier (RFC 7636, S256)."""
    digest = sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
