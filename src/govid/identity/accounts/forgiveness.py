"""Attempts that an operator gives back, convinced of who somebody is."""

from uuid import UUID

import msgspec

from govid.bus import Cause, Transaction, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import VerificationAttemptsForgiven
from govid.bus.shared.account_status import AccountStatus
from govid.identity.errors import AccountNotFound, NothingToForgive
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.repository.holders import Holder, Holders
from govid.identity.repository.verification_attempts import VerificationAttempts


class SpentAttempts(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts are spent: an account's own, and its identifier's by whatever accounts.

    The account's own at this identifier are among both.
    """

    status: AccountStatus
    of_account: int
    of_identifier: int


class Forgiveness:
    """Gives back the attempts of an account and of the identifier that it holds.

    Two wrong attempts spend an identifier for everybody, its holder too; somebody has to be able
    to undo what a stranger, or a misprint, has spent. What was found out stays in the evidence,
    and an attempt whose answer is under way stays counted. A closed account that still holds its
    identifier is good enough to name it.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        holders: Holders,
        attempts: VerificationAttempts,
        digests: IdentifierDigests,
    ) -> None:
        """Give back what *attempts* count of *holders*."""
        self._uow = uow
        self._holders = holders
        self._attempts = attempts
        self._digests = digests

    @rerun_on_conflict
    async def look(self, account_id: UUID, cause: Cause) -> SpentAttempts:
        """Return what is spent.

        Raises:
            AccountNotFound: there is no such account.
        """
        async with self._uow.begin(cause) as tx:
            holder = await self._lock(tx, account_id)
            return await self._spent(tx, holder)

    @rerun_on_conflict
    async def forgive(self, account_id: UUID, *, reason: str, cause: Cause) -> SpentAttempts:
        """Give all of it back, and return what it was; *cause* tells who does, *reason* why.

        Raises:
            AccountNotFound, NothingToForgive: nothing was done.
        """
        async with self._uow.begin(cause) as tx:
            holder = await self._lock(tx, account_id)
            spent = await self._spent(tx, holder)
            forgiven = await self._attempts.forgive(
                tx, account_id, self._digests.for_holder(holder)
            )
            if not forgiven:
                raise NothingToForgive
            tx.emit(
                VerificationAttemptsForgiven(
                    account_id=account_id,
                    attempts=forgiven,
                    operator=cause.actor.id or cause.actor.kind,
                    stated_reason=reason,
                    timestamp=tx.now,
                )
            )
            return spent

    async def _lock(self, tx: Transaction, account_id: UUID) -> Holder:
        holder = await self._holders.lock_one(tx, account_id)
        if holder is None:
            raise AccountNotFound
        return holder

    async def _spent(self, tx: Transaction, holder: Holder) -> SpentAttempts:
        of_account, of_identifier = await self._attempts.spent(
            tx, holder.account_id, self._digests.for_holder(holder)
        )
        return SpentAttempts(
            status=holder.status, of_account=of_account, of_identifier=of_identifier
        )
