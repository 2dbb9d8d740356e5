"""Asking a department whether an identifier is its holder's: two times, and no more."""

from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import IdentifierType, VerificationRefused, VerificationRequested
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.repository.verification_attempts import VerificationAttempts


class Questions:
    """Asks departments, and counts.

    An attempt is reserved in the commit of the event that asks, so that nobody is called for an
    attempt that was not counted. Whoever could ask as often as they like would find out, by
    changing accounts, whose number it is.
    """

    def __init__(self, attempts: VerificationAttempts, digests: IdentifierDigests) -> None:
        """Count in *attempts*, where identifiers stand as *digests*."""
        self._attempts = attempts
        self._digests = digests

    async def ask(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> bool:
        """Ask, for an account that is locked or new; return whether an attempt was left for it."""
        digest = self._digests.for_identifier(identifier_type, canonical_value)
        if not await self._attempts.reserve(tx, account_id, identifier_type, digest):
            return False
        tx.emit(
            VerificationRequested(
                user_id=account_id,
                identifier_type=identifier_type,
                identifier_value=canonical_value,
                timestamp=tx.now,
                correlation_id=tx.cause.correlation_id,
            )
        )
        return True

    async def ask_or_refuse(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> None:
        """Ask; where no attempt is left, the account fails by an event, and nobody is called."""
        if not await self.ask(tx, account_id, identifier_type, canonical_value):
            tx.emit(
                VerificationRefused(
                    account_id=account_id, identifier_type=identifier_type, timestamp=tx.now
                )
            )

    async def ask_again(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> None:
        """Ask for an account that waits, unless its question is still to be answered."""
        if await self._attempts.open(tx, account_id) is None:
            await self.ask_or_refuse(tx, account_id, identifier_type, canonical_value)
