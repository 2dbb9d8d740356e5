"""Consent to tax records: a citizen begins it here, gives it at HMRC, and brings it back.

HMRC sends the browser back to a page of the service that calls govid, and that service hands over
what the browser brought, with the citizen's own token (ADR-0019). What was begun belongs to the
account that began it: a link sent to somebody else gives its sender nothing.
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
PROOF_BYTES = 32
HOUR_SECONDS = 3600


class TaxConsent:
    """Takes consents, tells of them, and forgets them."""

    def __init__(
        self,
        uow: UnitOfWork,
        desk: ConsentDesk | None,
        accounts: Accounts,
        requests: ConsentRequests,
        consents: Consents,
        counters: Quotas,
        *,
        min_level: Level,
        most_per_hour: int,
    ) -> None:
        """Send citizens to *desk*; without one, HMRC is not connected.

        An account begins at most *most_per_hour* times; 0 is no limit. Each time it can exchange
        one code at most, so this also bounds the calls to HMRC.
        """
        self._uow = uow
        self._desk = desk
        self._accounts = accounts
        self._requests = requests
        self._consents = consents
        self._counters = counters
        self._min_level = min_level
        self._most_per_hour = most_per_hour

    @rerun_on_conflict
    async def begin(self, principal: Principal, cause: Cause) -> ConsentBegunView:
        """Return where the citizen consents; what they had begun before is good no longer.

        Raises:
            GovidError: HMRC is not connected, the account may not, or has begun too often.
        """
        desk = self._connected()
        check_level(principal, self._min_level)
        state = secrets.token_urlsafe(STATE_BYTES)
        proof = secrets.token_urlsafe(PROOF_BYTES)
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock(tx, principal.account_id):
                raise AccountIsBlocked
            await self._counters.spend(
                tx,
                Quota(
                    kind="consents",
                    bucket=str(principal.account_id),
                    most=self._most_per_hour,
                    seconds=HOUR_SECONDS,
                ),
            )
            expires_at = await self._requests.begin(tx, principal.account_id, state, proof)
        return ConsentBegunView(
            authorisation_url=desk.page(state, _challenge(proof)), expires_at=expires_at
        )

    async def grant(self, given: GrantConsent, principal: Principal, cause: Cause) -> ConsentView:
        """Exchange what the browser brought back for tokens, and keep them.

        The state is used up first and whatever comes of it, so that nobody can try codes with it.
        Who withdraws while HMRC is asked has withdrawn this too.

        Raises:
            GovidError: this account has not begun it, HMRC takes the code for bad, or is away.
        """
        desk = self._connected()
        check_level(principal, self._min_level)
        account_id = principal.account_id
        async with self._uow.begin(cause) as tx:
            proof = await self._requests.take(tx, account_id, given.state)
        if proof is None:
            raise ConsentNotBegun
        try:
            granted = await desk.redeem(given.code, proof, cause.correlation_id)
        except CodeNotGood as error:
            raise CodeRefused from error
        except Outage as outage:
            raise HmrcIsAway from outage
        holding = Holding(
            utr=given.reference,
            access_token=granted.access_token,
            refresh_token=granted.refresh_token,
        )
        async with self._uow.begin(cause) as tx:
            if await self._accounts.lock(tx, account_id):
                raise AccountIsBlocked
            if not await self._requests.settle(tx, account_id, given.state):
                raise ConsentNotBegun
            await self._consents.grant(tx, account_id, holding, granted.life_seconds)
            tx.emit(TaxConsentGranted(account_id=account_id, timestamp=tx.now))
        return await self.status(principal)

    async def status(self, principal: Principal) -> ConsentView:
        """Tell how the principal's consent stands."""
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
        """Forget the consent. At HMRC it stands until it ends, or the citizen ends it there."""
        async with self._uow.begin(cause) as tx:
            if await self._consents.forget(tx, principal.account_id):
                tx.emit(TaxConsentWithdrawn(account_id=principal.account_id, timestamp=tx.now))

    def _connected(self) -> ConsentDesk:
        if self._desk is None:
            raise TaxRecordsAreOff
        return self._desk


def _challenge(proof: str) -> str:
    """Return what HMRC is told of *proof* before it is shown (RFC 7636, S256)."""
    digest = sha256(proof.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
