"""Resets the verification attempts of an account, after an operator has checked the identity."""

from uuid import UUID

import msgspec

from govid.bus import OperationContext, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import VerificationAttemptsForgiven
from govid.bus.shared.account_status import AccountStatus
from govid.identity.errors import AccountNotFound, NoAttemptsUsed
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.repository.holders import AccountHolder, AccountStatusRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository


class UsedAttempts(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of used verification attempts: of the account, and of its identifier.

    Attempts for the identifier count whichever account made them. An attempt of this account for
    this identifier counts in both numbers.
    """

    status: AccountStatus
    by_account: int
    for_identifier: int


class AttemptReset:
    """Resets the used attempts of an account and of its identifier.

    Two failed attempts block an identifier for all accounts, including that of its rightful
    holder. An operator must be able to undo attempts that a stranger or a typing error has used.
    Stored evidence stays, and an attempt without a result yet stays counted. A closed account
    that still has its identifier can be used to select the identifier.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        account_status: AccountStatusRepository,
        attempts: VerificationAttemptRepository,
        digests: IdentifierDigests,
    ) -> None:
        """Reset the counts in *attempts*; *account_status* locks the account."""
        self._uow = uow
        self._account_status = account_status
        self._attempts = attempts
        self._digests = digests

    @rerun_on_conflict
    async def preview(self, account_id: UUID, cause: OperationContext) -> UsedAttempts:
        """Return the numbers of used attempts; change nothing.

        Raises:
            AccountNotFound: there is no such account.
        """
        async with self._uow.begin(cause) as tx:
            holder = await self._lock(tx, account_id)
            return await self._count_spent(tx, holder)

    @rerun_on_conflict
    async def reset(
        self, account_id: UUID, *, reason: str, cause: OperationContext
    ) -> UsedAttempts:
        """Reset all used attempts and return their numbers before the reset.

        The event names the operator, who is the actor of *cause*, and the *reason*.

        Raises:
            AccountNotFound: there is no such account.
            NoAttemptsUsed: no attempt has been used.
        """
        async with self._uow.begin(cause) as tx:
            holder = await self._lock(tx, account_id)
            spent = await self._count_spent(tx, holder)
            reset_count = await self._attempts.reset_used(
                tx, account_id, self._digests.for_holder(holder)
            )
            if not reset_count:
                raise NoAttemptsUsed
            tx.emit(
                VerificationAttemptsForgiven(
                    account_id=account_id,
                    attempts=reset_count,
                    operator=cause.actor.id or cause.actor.kind,
                    stated_reason=reason,
                    timestamp=tx.now,
                )
            )
            return spent

    async def _lock(self, tx: Transaction, account_id: UUID) -> AccountHolder:
        holder = await self._account_status.lock_account(tx, account_id)
        if holder is None:
            raise AccountNotFound
        return holder

    async def _count_spent(self, tx: Transaction, holder: AccountHolder) -> UsedAttempts:
        of_account, of_identifier = await self._attempts.count_used(
            tx, holder.account_id, self._digests.for_holder(holder)
        )
        return UsedAttempts(
            status=holder.status, by_account=of_account, for_identifier=of_identifier
        )
