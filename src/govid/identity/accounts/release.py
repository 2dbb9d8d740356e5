"""An unproven claim of an identifier, ended by an operator before its time."""

from uuid import UUID

from govid.bus import Cause, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import AccountIdentifierReleased
from govid.bus.shared.account_status import UNVERIFIED, AccountStatus
from govid.identity.errors import AccountNotFound, NothingToRelease
from govid.identity.repository.claims import Claims
from govid.identity.repository.facts import Facts
from govid.identity.repository.holders import Holders
from govid.identity.repository.verification_attempts import VerificationAttempts


class ClaimRelease:
    """Lets an identifier be registered by whom it belongs to, while a stranger still claims it.

    The account goes on without an identifier, as after the expiry of its claim. What was proved,
    and what a blocked account holds, is nobody's to release.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        holders: Holders,
        claims: Claims,
        facts: Facts,
        attempts: VerificationAttempts,
    ) -> None:
        """End *claims* of *holders*; *facts* go with them, and open *attempts* are given back."""
        self._uow = uow
        self._holders = holders
        self._claims = claims
        self._facts = facts
        self._attempts = attempts

    @rerun_on_conflict
    async def look(self, account_id: UUID, cause: Cause) -> AccountStatus:
        """Return the status of an account whose claim could be ended.

        Raises:
            AccountNotFound, NothingToRelease: there is none.
        """
        async with self._uow.begin(cause) as tx:
            account = await self._holders.show(tx, account_id)
            if account is None:
                raise AccountNotFound
            if account.status not in UNVERIFIED:
                raise NothingToRelease
            return account.status

    @rerun_on_conflict
    async def release(self, account_id: UUID, *, reason: str, cause: Cause) -> None:
        """End the account's claim; *cause* tells which operator does, *reason* why.

        Raises:
            AccountNotFound, NothingToRelease: nothing was done.
        """
        async with self._uow.begin(cause) as tx:
            if await self._holders.lock_one(tx, account_id) is None:
                raise AccountNotFound
            given = await self._claims.end(tx, account_id)
            if given is None:
                raise NothingToRelease
            await self._facts.forget(tx, [account_id])
            await self._attempts.give_back(tx, [account_id])
            tx.emit(
                AccountIdentifierReleased(
                    account_id=account_id,
                    identifier_type=given.identifier_type,
                    operator=cause.actor.id or cause.actor.kind,
                    stated_reason=reason,
                    timestamp=tx.now,
                )
            )
