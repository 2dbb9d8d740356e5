"""OAuth consent to tax records: the citizen starts it here, gives it at HMRC, and returns a code.

HMRC sends the browser back to a page of the service that calls govid. That service passes on the
code and the state that the browser returned, with the citizen's own access token (ADR-0019). A
started consent belongs to the account that started it: sending the link to another person gives
the sender nothing.
"""

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

from govid.bus import (
    OperationContext,
    Outage,
    Principal,
    QuotaCounters,
    QuotaRule,
    UnitOfWork,
    rerun_on_conflict,
)
from govid.bus.contracts import TaxConsentGranted, TaxConsentWithdrawn
from govid.hmrc.errors import (
    AccountIsBlocked,
    ConsentCodeRefused,
    ConsentNotStarted,
    HmrcUnavailable,
    TaxRecordsDisabled,
)
from govid.hmrc.level import require_assurance
from govid.hmrc.registry.taxes import ConsentClient, InvalidConsentCode
from govid.hmrc.repository import (
    BlockedAccounts,
    ConsentRepository,
    ConsentRequestRepository,
    ConsentTokens,
)
from govid.hmrc.schemas import ConsentBegunView, ConsentView, GrantConsent
from govid.hmrc.settings import IdentityAssurance

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
    async def start(self, principal: Principal, cause: OperationContext) -> ConsentBegunView:
        """Start a consent and return the address at which the citizen gives it.

        A consent that was started before can no longer be completed.

        Raises:
            GovidError: HMRC is not connected, the account may not consent, or its quota is reached.
        """
        client = self._require_client()
        require_assurance(principal, self._required_assurance)
        state = secrets.token_urlsafe(STATE_BYTES)
        verifier = secrets.token_urlsafe(VERIFIER_BYTES)
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock_and_check(tx, principal.account_id):
                raise AccountIsBlocked
            await self._quotas.consume_or_raise(
                tx,
                QuotaRule(
                    kind="consents",
                    bucket=str(principal.account_id),
                    limit=self._max_per_hour,
                    seconds=HOUR_SECONDS,
                ),
            )
            expires_at = await self._requests.store(tx, principal.account_id, state, verifier)
        return ConsentBegunView(
            authorisation_url=client.authorisation_url(state, _challenge(verifier)),
            expires_at=expires_at,
        )

    async def grant(
        self, grant: GrantConsent, principal: Principal, cause: OperationContext
    ) -> ConsentView:
        """Exchange the code that the browser returned for tokens, and store them.

        The state is consumed first, whatever the result, so that it cannot be used to try several
        codes. A withdrawal during the call to HMRC also withdraws this consent.

        Raises:
            GovidError: this account has not started it, or HMRC refuses the code or is unavailable.
        """
        client = self._require_client()
        require_assurance(principal, self._required_assurance)
        account_id = principal.account_id
        async with self._uow.begin(cause) as tx:
            verifier = await self._requests.consume(tx, account_id, grant.state)
        if verifier is None:
            raise ConsentNotStarted
        try:
            granted = await client.redeem(grant.code, verifier, cause.correlation_id)
        except InvalidConsentCode as error:
            raise ConsentCodeRefused from error
        except Outage as outage:
            raise HmrcUnavailable from outage
        tokens = ConsentTokens(
            utr=grant.reference,
            access_token=granted.access_token,
            refresh_token=granted.refresh_token,
        )
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock_and_check(tx, account_id):
                raise AccountIsBlocked
            if not await self._requests.complete(tx, account_id, grant.state):
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
    async def withdraw(self, principal: Principal, cause: OperationContext) -> None:
        """Delete the consent. At HMRC it stays valid until it ends or the citizen ends it there."""
        async with self._uow.begin(cause) as tx:
            if await self._consents.delete(tx, principal.account_id):
                tx.emit(TaxConsentWithdrawn(account_id=principal.account_id, timestamp=tx.now))

    def _require_client(self) -> ConsentClient:
        if self._client is None:
            raise TaxRecordsDisabled
        return self._client


def _challenge(verifier: str) -> str:
    """Return the PKCE code challenge of *verifier*, the code verifier (RFC 7636, S256)."""
    digest = sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
