"""Submits verification requests to departments: at most two attempts per account and identifier.

A registration submits the first request. The account holder can start a verification retry with
new facts.
"""

from uuid import UUID

import msgspec

from govid.bus import (
    InvalidRequest,
    OperationContext,
    Principal,
    QuotaCounters,
    QuotaRule,
    Transaction,
    UnitOfWork,
)
from govid.bus.events import IdentifierType, VerificationRefused, VerificationRequested
from govid.bus.shared.contract import UNVERIFIED, AccountStatus
from govid.identity.errors import (
    AccountIsBlocked,
    AttemptsExhausted,
    VerificationUnderWay,
    VerifiedAlready,
)
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.accounts import AccountRepository
from govid.identity.repository.claimed_facts import ClaimedFactsRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from govid.identity.schemas import UserView, Verify
from govid.identity.validation import validate_claimed_facts


class VerificationRequests:
    """Emits verification requests and counts the attempts.

    The attempt is reserved in the transaction that emits the request, so that no department is
    called for an uncounted attempt. Without a limit per identifier, a caller could try one
    identifier in many accounts until the facts match, and so find out whose number it is.
    """

    def __init__(self, attempts: VerificationAttemptRepository, digests: IdentifierDigests) -> None:
        """Count in *attempts*, which stores identifiers as *digests*."""
        self._attempts = attempts
        self._digests = digests

    async def submit(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> bool:
        """Request verification of the account; return False if no attempt was left.

        The account must be locked or new.
        """
        digest = self._digests.for_identifier(identifier_type, canonical_value)
        if not await self._attempts.reserve(tx, account_id, identifier_type, digest):
            return False
        tx.emit(
            VerificationRequested(
                user_id=account_id,
                identifier_type=identifier_type,
                identifier_value=canonical_value,
                timestamp=tx.now,
                correlation_id=tx.context.correlation_id,
            )
        )
        return True

    async def submit_or_refuse(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> None:
        """Request verification, or fail it if no attempt is left.

        The failure is an event, by which the account's verification fails. No department is
        called.
        """
        if not await self.submit(tx, account_id, identifier_type, canonical_value):
            tx.emit(
                VerificationRefused(
                    account_id=account_id, identifier_type=identifier_type, timestamp=tx.now
                )
            )

    async def resubmit(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> None:
        """Request verification again for a pending account, unless a request has no result yet."""
        if await self._attempts.find_open(tx, account_id) is None:
            await self.submit_or_refuse(tx, account_id, identifier_type, canonical_value)


HOUR_SECONDS = 3600


class VerificationRetry:
    """Starts a verification retry for the holder of an unverified account.

    One transaction stores the new facts, sets the account to pending and emits the verification
    request.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        account_status: AccountStatusRepository,
        accounts: AccountRepository,
        claimed_facts: ClaimedFactsRepository,
        attempts: VerificationAttemptRepository,
        verification_requests: VerificationRequests,
        quotas: QuotaCounters,
        *,
        max_per_hour: int,
    ) -> None:
        """Store facts in *claimed_facts* and emit requests through *verification_requests*.

        An account may request verification *max_per_hour* times an hour; 0 is no limit.
        """
        self._uow = uow
        self._account_status = account_status
        self._accounts = accounts
        self._claimed_facts = claimed_facts
        self._attempts = attempts
        self._verification_requests = verification_requests
        self._quotas = quotas
        self._max_per_hour = max_per_hour

    async def start(
        self, request: Verify, principal: Principal, context: OperationContext
    ) -> UserView:
        """Ask the department to verify the principal by the facts in *request*.

        Raises:
            InvalidRequest: a fact is not well-formed, or the account has no identifier.
            AccountIsBlocked: the account was blocked after this request was authenticated.
            VerifiedAlready: the account is verified.
            VerificationUnderWay: the last verification request has no result yet.
            AttemptsExhausted: both attempts are used; no department is called.
            RateExceeded: the account has requested verification too often in this hour.
        """
        facts = validate_claimed_facts(request, identifier_type=principal.identifier_type)
        if facts is None:
            raise InvalidRequest.for_field("familyName", "is needed", "missing")
        quota = QuotaRule.for_account(
            "verifications", principal.account_id, self._max_per_hour, HOUR_SECONDS
        )
        await self._quotas.consume_separately(self._uow, context, quota)
        async with self._uow.begin(context) as tx:
            holder = await self._account_status.lock_account(tx, principal.account_id)
            if holder is None or holder.status == AccountStatus.BLOCKED:
                raise AccountIsBlocked
            if holder.identifier_type is None or holder.identifier_value is None:
                raise InvalidRequest.for_field(
                    "identifierValue", "this account holds no identifier", "missing"
                )
            if holder.status not in UNVERIFIED:
                raise VerifiedAlready
            if await self._attempts.find_open(tx, holder.account_id) is not None:
                raise VerificationUnderWay
            await self._claimed_facts.save(tx, holder.account_id, facts)
            if not await self._verification_requests.submit(
                tx, holder.account_id, holder.identifier_type, holder.identifier_value
            ):
                raise AttemptsExhausted
            await self._accounts.set_pending(tx, holder.account_id)
            changed_at = tx.now if holder.status == AccountStatus.FAILED else principal.updated_at
        return msgspec.structs.replace(
            UserView.from_principal(principal),
            status=AccountStatus.PENDING,
            assurance="P0",
            updated_at=changed_at,
        )
