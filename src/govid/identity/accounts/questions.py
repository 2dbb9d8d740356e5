"""Submits verification requests to departments: at most two attempts per account and identifier."""

from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import IdentifierType, VerificationRefused, VerificationRequested
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.repository.verification_attempts import VerificationAttemptRepository


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
