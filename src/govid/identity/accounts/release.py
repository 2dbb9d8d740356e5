"""An identifier that an operator takes from an account before its time."""

from uuid import UUID

import msgspec

from govid.bus import Cause, UnitOfWork, rerun_on_conflict
from govid.bus.contracts import AccountIdentifierReleased
from govid.bus.shared.account_status import UNVERIFIED, AccountStatus
from govid.identity.errors import (
    AccountNotFound,
    BlockedAccountKeepsIdentifier,
    IdentifierIsVerified,
    NothingToRelease,
)
from govid.identity.repository.claims import Claims
from govid.identity.repository.facts import Facts
from govid.identity.repository.holders import Holders
from govid.identity.repository.verification_attempts import VerificationAttempts


class Releasable(msgspec.Struct, frozen=True, kw_only=True):
    """The status of an account whose identifier can be taken, before and after."""

    status: AccountStatus
    status_after: AccountStatus


class ClaimRelease:
    """Lets an identifier be registered again while an account still holds it.

    An open account goes on without an identifier, as after the expiry of its claim; a closed one
    stays closed. A verified identifier is taken only if the operator says so: evidence stood for
    it. A blocked account keeps its own, because its holder may be dead.
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
    async def check(self, account_id: UUID, cause: Cause, *, verified: bool = False) -> Releasable:
        """Return how the account's status would change; change nothing.

        Raises:
            AccountNotFound, BlockedAccountKeepsIdentifier, IdentifierIsVerified, NothingToRelease:
                what `release` would raise.
        """
        async with self._uow.begin(cause) as tx:
            account = await self._holders.show(tx, account_id)
            if account is None:
                raise AccountNotFound
            return _releasable(
                account.status, holds=account.identifier_type is not None, verified=verified
            )

    @rerun_on_conflict
    async def release(
        self, account_id: UUID, *, reason: str, cause: Cause, verified: bool = False
    ) -> None:
        """Take the account's identifier; *cause* tells which operator does, *reason* why.

        With *verified*, also one that a department has confirmed.

        Raises:
            AccountNotFound: there is no such account.
            BlockedAccountKeepsIdentifier: the account is blocked.
            IdentifierIsVerified: a department has confirmed it, and *verified* was not said.
            NothingToRelease: the account holds no identifier.
        """
        async with self._uow.begin(cause) as tx:
            holder = await self._holders.lock_one(tx, account_id)
            if holder is None:
                raise AccountNotFound
            _releasable(holder.status, holds=holder.identifier_type is not None, verified=verified)
            given = await self._claims.end(tx, account_id, holder.status)
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


def _releasable(status: AccountStatus, *, holds: bool, verified: bool) -> Releasable:
    if status is AccountStatus.BLOCKED:
        raise BlockedAccountKeepsIdentifier
    if not holds:
        raise NothingToRelease
    if status is AccountStatus.VERIFIED and not verified:
        raise IdentifierIsVerified
    open_states = (*UNVERIFIED, AccountStatus.VERIFIED)
    return Releasable(
        status=status,
        status_after=AccountStatus.REGISTERED if status in open_states else AccountStatus.CLOSED,
    )
