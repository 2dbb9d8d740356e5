"""Identifiers that are given back: claims that nobody confirmed, and closed accounts' own."""

from govid.bus import Transaction
from govid.bus.contracts import AccountClaimExpired, AccountIdentifierReleased
from govid.identity.repository.claims import Claims
from govid.identity.repository.facts import Facts
from govid.identity.repository.verification_attempts import VerificationAttempts


class ClaimExpiry:
    """Gives identifiers back. Housekeeping calls each with a transaction, batch after batch."""

    def __init__(
        self,
        claims: Claims,
        facts: Facts,
        attempts: VerificationAttempts,
        *,
        claim_days: int,
        closed_days: int,
    ) -> None:
        """Take unverified claims after *claim_days*, closed accounts' after *closed_days*.

        What was said beside an unverified claim leaves *facts* with it, and of the *attempts* to
        prove it the one that was never answered is nobody's.
        """
        self._claims = claims
        self._facts = facts
        self._attempts = attempts
        self._claim_days = claim_days
        self._closed_days = closed_days

    async def expire(self, tx: Transaction, most: int) -> int:
        """End at most so many unverified claims; return how many.

        Whoever held one may go on signing in, without an identifier: else somebody could claim
        another person's number for ever by opening an account first.
        """
        given = await self._claims.expire(tx, days=self._claim_days, most=most)
        if given:
            accounts = [one.account_id for one in given]
            await self._facts.forget(tx, accounts)
            await self._attempts.give_back(tx, accounts)
        for one in given:
            tx.emit(
                AccountClaimExpired(
                    account_id=one.account_id,
                    identifier_type=one.identifier_type,
                    timestamp=tx.now,
                )
            )
        return len(given)

    async def release(self, tx: Transaction, most: int) -> int:
        """Release the identifiers of at most so many closed accounts; return how many."""
        given = await self._claims.release(tx, days=self._closed_days, most=most)
        for one in given:
            tx.emit(
                AccountIdentifierReleased(
                    account_id=one.account_id,
                    identifier_type=one.identifier_type,
                    timestamp=tx.now,
                )
            )
        return len(given)
