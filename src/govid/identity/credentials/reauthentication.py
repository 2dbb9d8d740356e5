"""Re-authentication: checks the password again before actions a stolen token must not allow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from govid.bus import OperationContext, Principal, Transaction, UnitOfWork
from govid.bus.shared.contract import AccountStatus
from govid.identity.credentials.hash_queue import HashRequester
from govid.identity.credentials.password_hashing import PasswordHashing
from govid.identity.errors import AccountIsBlocked, PasswordNotConfirmed
from govid.identity.rate_limits.attempts import LoginAttempt, LoginFlow, LoginThrottle
from govid.identity.repository.accounts import PasswordAccount, PasswordAccountRepository


class PasswordProof(msgspec.Struct, frozen=True, kw_only=True):
    """The password was right when it was checked; `confirm` checks again in a transaction."""

    account: PasswordAccount
    attempt: LoginAttempt


class Reauthentication:
    """Checks the password of a logged-in account holder under the login throttle.

    There are two steps, as at login: the attempt is reserved, visible to other requests, before
    the password is hashed, and no connection is held meanwhile. Wrong passwords are counted apart
    from logins, so that an attacker with a stolen token cannot lock the account holder out.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: PasswordAccountRepository,
        passwords: PasswordHashing,
        throttle: LoginThrottle,
    ) -> None:
        """Count attempts by *throttle*."""
        self._uow = uow
        self._accounts = accounts
        self._passwords = passwords
        self._throttle = throttle

    @asynccontextmanager
    async def require_password(
        self, principal: Principal, password: str, context: OperationContext
    ) -> AsyncIterator[PasswordProof]:
        """Run the block with the proof that *password* is the principal's.

        If the block fails because a resource is busy or unavailable, the attempt is not counted.

        Raises:
            PasswordNotConfirmed: the password is wrong, the account has none, or it is locked
                after too many failures.
            TooManyAttempts: the client network has failed too often.
            LoginBusy: the queue of password hashing is full or too slow.
        """
        attempt, account = await self._throttle.begin(
            LoginFlow.REAUTHENTICATION,
            str(principal.account_id),
            context,
            partial(self._accounts.find, account_id=principal.account_id),
        )
        requester = HashRequester.from_context(context, str(principal.account_id))
        async with self._throttle.release_if_busy(attempt, context):
            password_hash = None if account is None or attempt.is_locked else account.password_hash
            is_right = await self._passwords.verify(password_hash, password, requester)
            if not is_right or account is None:
                async with self._uow.begin(context) as tx:
                    await self._throttle.record_failure(tx, attempt, principal.account_id)
                raise PasswordNotConfirmed
            yield PasswordProof(account=account, attempt=attempt)

    async def confirm(self, tx: Transaction, proof: PasswordProof) -> PasswordAccount:
        """Lock the account for writing and return it, if the proof is still valid.

        Raises:
            PasswordNotConfirmed: the password was changed meanwhile.
            AccountIsBlocked: the account was blocked meanwhile.
        """
        account = await self._accounts.lock(tx, proof.account.id, write=True)
        if account is None or account.password_hash != proof.account.password_hash:
            raise PasswordNotConfirmed
        if account.status == AccountStatus.BLOCKED:
            raise AccountIsBlocked
        await self._throttle.record_success(tx, proof.attempt)
        return account
