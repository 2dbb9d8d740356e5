"""Releases identifiers: by claim expiry, after account closure, or by an operator command."""

from uuid import UUID

import msgspec

from govid.bus import OperationContext, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.events import AccountClaimExpired, AccountIdentifierReleased
from govid.bus.shared.contract import UNVERIFIED, AccountStatus
from govid.identity.errors import (
    AccountNotFound,
    BlockedAccountKeepsIdentifier,
    IdentifierIsVerified,
    NothingToRelease,
)
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.accounts import IdentifierClaimRepository
from govid.identity.repository.claimed_facts import ClaimedFactsRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository


class ClaimExpiry:
    """Expires claims and releases identifiers; the cleanup worker calls each method in batches."""

    def __init__(
        self,
        claims: IdentifierClaimRepository,
        claimed_facts: ClaimedFactsRepository,
        attempts: VerificationAttemptRepository,
        *,
        claim_days: int,
        closed_days: int,
    ) -> None:
        """Set the times: *claim_days* for unverified claims, *closed_days* for closed accounts.

        An expired claim also loses its *claimed_facts*. Its attempt without a result no longer
        counts in *attempts*.
        """
        self._claims = claims
        self._claimed_facts = claimed_facts
        self._attempts = attempts
        self._claim_days = claim_days
        self._closed_days = closed_days

    async def expire_claims(self, tx: Transaction, limit: int) -> int:
        """Expire at most *limit* unverified claims and return their number.

        The account holder can still sign in, without an identifier. Without expiry, a person who
        registers first could claim the number of another person permanently.
        """
        expired_claims = await self._claims.release_unverified(
            tx, days=self._claim_days, limit=limit
        )
        if expired_claims:
            accounts = [claim.account_id for claim in expired_claims]
            await self._claimed_facts.delete(tx, accounts)
            await self._attempts.release_open(tx, accounts)
        for claim in expired_claims:
            tx.emit(
                AccountClaimExpired(
                    account_id=claim.account_id,
                    identifier_type=claim.identifier_type,
                    timestamp=tx.now,
                )
            )
        return len(expired_claims)

    async def release_closed(self, tx: Transaction, limit: int) -> int:
        """Release the identifiers of at most *limit* closed accounts and return their number."""
        released = await self._claims.release_closed(tx, days=self._closed_days, limit=limit)
        for claim in released:
            tx.emit(
                AccountIdentifierReleased(
                    account_id=claim.account_id,
                    identifier_type=claim.identifier_type,
                    timestamp=tx.now,
                )
            )
        return len(released)


class ReleasePreview(msgspec.Struct, frozen=True, kw_only=True):
    """The status of an account before and after its identifier is released."""

    status: AccountStatus
    status_after: AccountStatus


class ClaimRelease:
    """Releases an identifier, so that it can be registered again.

    An active account continues without an identifier, as after claim expiry; a closed account
    stays closed. A verified identifier is released only on the operator's explicit request,
    because evidence confirmed it. A blocked account keeps its identifier, because its holder may
    be dead.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        account_status: AccountStatusRepository,
        claims: IdentifierClaimRepository,
        claimed_facts: ClaimedFactsRepository,
        attempts: VerificationAttemptRepository,
    ) -> None:
        """Remove claims, delete their *claimed_facts*, and release the reserved *attempts*."""
        self._uow = uow
        self._account_status = account_status
        self._claims = claims
        self._claimed_facts = claimed_facts
        self._attempts = attempts

    @rerun_on_conflict
    async def preview(
        self, account_id: UUID, context: OperationContext, *, verified: bool = False
    ) -> ReleasePreview:
        """Return how the status of the account would change; change nothing.

        Raises:
            AccountNotFound, BlockedAccountKeepsIdentifier, IdentifierIsVerified, NothingToRelease:
                `release` would raise the same error.
        """
        async with self._uow.begin(context) as tx:
            account = await self._account_status.fetch_status(tx, account_id)
            if account is None:
                raise AccountNotFound
            return _preview_release(
                account.status,
                has_identifier=account.identifier_type is not None,
                verified=verified,
            )

    @rerun_on_conflict
    async def release(
        self, account_id: UUID, *, reason: str, context: OperationContext, verified: bool = False
    ) -> None:
        """Release the identifier of the account; with *verified* also a confirmed one.

        The event names the operator, who is the actor of *context*, and the *reason*.

        Raises:
            AccountNotFound: there is no such account.
            BlockedAccountKeepsIdentifier: the account is blocked.
            IdentifierIsVerified: a department has confirmed it, and *verified* is false.
            NothingToRelease: the account has no identifier.
        """
        async with self._uow.begin(context) as tx:
            holder = await self._account_status.lock_account(tx, account_id)
            if holder is None:
                raise AccountNotFound
            _preview_release(
                holder.status, has_identifier=holder.identifier_type is not None, verified=verified
            )
            released = await self._claims.release_for_account(tx, account_id, holder.status)
            if released is None:
                raise NothingToRelease
            await self._claimed_facts.delete(tx, [account_id])
            await self._attempts.release_open(tx, [account_id])
            tx.emit(
                AccountIdentifierReleased(
                    account_id=account_id,
                    identifier_type=released.identifier_type,
                    operator=context.actor.id or context.actor.kind,
                    stated_reason=reason,
                    timestamp=tx.now,
                )
            )


def _preview_release(
    status: AccountStatus, *, has_identifier: bool, verified: bool
) -> ReleasePreview:
    if status is AccountStatus.BLOCKED:
        raise BlockedAccountKeepsIdentifier
    if not has_identifier:
        raise NothingToRelease
    if status is AccountStatus.VERIFIED and not verified:
        raise IdentifierIsVerified
    active_states = (*UNVERIFIED, AccountStatus.VERIFIED)
    return ReleasePreview(
        status=status,
        status_after=AccountStatus.REGISTERED if status in active_states else AccountStatus.CLOSED,
    )
