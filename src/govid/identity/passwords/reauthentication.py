"""Proving once more who one is, before something that a stolen token must not do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from govid.bus import Cause, Principal, Transaction, UnitOfWork
from govid.bus.shared.account_status import AccountStatus
from govid.identity.errors import AccountIsBlocked, PasswordNotConfirmed
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.turns import Asker
from govid.identity.repository.owners import Owner, Owners
from govid.identity.throttle.attempts import Attempt, Flow, Throttle


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The password was right a moment ago. It is worth something once `confirm` has looked."""

    owner: Owner
    attempt: Attempt


class Reauthentication:
    """Asks signed-in people for their password.

    In two steps, like signing in: the attempt is counted, visibly to others, before the hash is
    made, and no connection is held meanwhile. A wrong password counts apart from sign-ins, so
    that whoever has stolen a token cannot lock its owner out.
    """

    def __init__(
        self, uow: UnitOfWork, owners: Owners, passwords: Passwords, throttle: Throttle
    ) -> None:
        """Count by *throttle*."""
        self._uow = uow
        self._owners = owners
        self._passwords = passwords
        self._throttle = throttle

    @asynccontextmanager
    async def proved(
        self, principal: Principal, password: str, cause: Cause
    ) -> AsyncIterator[Proof]:
        """Run the block with the proof that *password* is the principal's.

        A block that is refused because somebody is busy or away has not spent the attempt.

        Raises:
            PasswordNotConfirmed: it is another, there is none, or there were too many wrong ones.
            TooManyAttempts: the caller's network has failed too often.
            SignInBusy: too many passwords are being hashed.
        """
        attempt, owner = await self._throttle.reserve(
            Flow.REAUTHENTICATION,
            str(principal.account_id),
            cause,
            partial(self._owners.find, account_id=principal.account_id),
        )
        asker = Asker.of(cause, str(principal.account_id))
        async with self._throttle.sparing(attempt, cause):
            stored = None if owner is None or attempt.is_locked else owner.password_hash
            if not await self._passwords.verify(stored, password, asker) or owner is None:
                async with self._uow.begin(cause) as tx:
                    await self._throttle.fail(tx, attempt, principal.account_id)
                raise PasswordNotConfirmed
            yield Proof(owner=owner, attempt=attempt)

    async def confirm(self, tx: Transaction, proof: Proof) -> Owner:
        """Lock the account for writing and return it, if the proof still holds.

        Raises:
            PasswordNotConfirmed: meanwhile the password was changed.
            AccountIsBlocked: meanwhile the account was blocked.
        """
        owner = await self._owners.lock(tx, proof.owner.id, write=True)
        if owner is None or owner.password_hash != proof.owner.password_hash:
            raise PasswordNotConfirmed
        if owner.status == AccountStatus.BLOCKED:
            raise AccountIsBlocked
        await self._throttle.succeed(tx, proof.attempt)
        return owner
