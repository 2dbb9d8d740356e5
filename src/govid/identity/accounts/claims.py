"""Releases identifiers after a time: unverified claims, and those of closed accounts."""

from govid.bus import Transaction
from govid.bus.contracts import AccountClaimExpired, AccountIdentifierReleased
from govid.identity.repository.claims import IdentifierClaimRepository
from govid.identity.repository.facts import ClaimedFactsRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository


class ClaimExpiry:
    """Expires claims and releases identifiers; the cleanup worker calls each method in batches."""

    def __init__(
        self,
        claims: IdentifierClaimRepository,
        facts: ClaimedFactsRepository,
        attempts: VerificationAttemptRepository,
        *,
        claim_days: int,
        closed_days: int,
    ) -> None:
        """Set the times: *claim_days* for unverified claims, *closed_days* for closed accounts.

        An expired claim also loses its claimed *facts*. Its attempt without a result no longer
        counts in *attempts*.
        """
        self._claims = claims
        self._facts = facts
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
            await self._facts.delete(tx, accounts)
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
