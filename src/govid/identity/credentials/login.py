"""Login with a password: checks it under the login throttle and begins a session."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar
from uuid import UUID

from govid.bus import OperationContext, Transaction, UnitOfWork
from govid.bus.events import CredentialCorrupt, LoginFailed, LoginRefusedBlocked, LoginSucceeded
from govid.bus.shared.contract import AccountStatus
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.credentials.hash_queue import HashRequester
from govid.identity.credentials.password_hashing import PasswordHashing
from govid.identity.errors import AccountIsBlocked, InvalidCredentials
from govid.identity.rate_limits.attempts import LoginAttempt, LoginFlow, LoginThrottle
from govid.identity.repository.accounts import AccountRepository, LoginCredentials
from govid.identity.schemas import GrantView, Login, TokenView
from govid.identity.sessions.issuing import SessionIssuer
from govid.identity.validation import canonical_email_or_empty

PASSWORD_LEVEL = "Cl"  # noqa: S105 - the name of a level
"""The authentication level of a login with a password only, in the terms of GOV.UK One Login."""

MAX_CHECKS = 2
"""How often the password is checked if the stored hash changes during the check."""

S = TypeVar("S")
SessionFactory = Callable[[Transaction, UUID, str], Awaitable[S]]
"""Creates a session of an account, whose row lock the transaction holds, at a level."""


class PasswordLogin:
    """Checks a password under the login throttle and issues the tokens of a new session.

    Two transactions are used, so that no connection is held while a password is hashed. The first
    reserves the attempt, visible to other requests, before the slow part. The second checks again
    everything that the first has read, and records the result. An unknown address, a wrong
    password and a locked account cost the same statements and one hash, and get the same answer.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: AccountRepository,
        passwords: PasswordHashing,
        session_issuer: SessionIssuer,
        throttle: LoginThrottle,
    ) -> None:
        """Create sessions by *session_issuer* and count attempts by *throttle*."""
        self._uow = uow
        self._accounts = accounts
        self._passwords = passwords
        self._session_issuer = session_issuer
        self._throttle = throttle

    async def login(self, request: Login, context: OperationContext) -> TokenView:
        """Return the only token of a new session. Raises the errors of `_authenticate`."""
        issuer = self._session_issuer
        return issuer.build_token_view(await self._authenticate(request, context, issuer.issue))

    async def login_refreshable(self, request: Login, context: OperationContext) -> GrantView:
        """Return the tokens of a new refreshable session. Raises the errors of `_authenticate`."""
        issuer = self._session_issuer
        return issuer.build_grant_view(
            await self._authenticate(request, context, issuer.issue_refreshable)
        )

    async def _authenticate(
        self, request: Login, context: OperationContext, create_session: SessionFactory[S]
    ) -> S:
        """Create a session of the account with this address and password.

        Raises:
            InvalidCredentials: the account does not exist, the password is wrong, or the account
                is locked after too many failures; the work is the same in each case.
            AccountIsBlocked: the password is right, but the account is blocked.
            TooManyAttempts: too many failures from this network, or too many attempts wait for
                this address.
            LoginBusy: the queue of password hashing is full or too slow.
        """
        address = canonical_email_or_empty(request.email)
        requester = HashRequester.from_context(context, address)
        attempt, stored = await self._throttle.begin(
            LoginFlow.LOGIN,
            address,
            context,
            lambda tx: self._accounts.find_credentials(tx, address),
        )
        credentials = None if attempt.is_locked else stored
        for _ in range(MAX_CHECKS):
            async with self._throttle.release_if_busy(attempt, context):
                verified = await self._verify(credentials, request.password, requester)
            if verified is None:
                break
            async with self._uow.begin(context) as tx:
                credentials = await self._accounts.lock_credentials(
                    tx, verified.account_id, write=verified.is_outdated
                )
                if credentials is None or credentials.password_hash != verified.password_hash:
                    # The password was changed meanwhile, or a parallel login replaced its hash.
                    continue
                if credentials.status != AccountStatus.BLOCKED:
                    return await self._complete(tx, attempt, verified, create_session)
                await self._record_blocked(tx, attempt, verified.account_id)
            raise AccountIsBlocked
        async with self._uow.begin(context) as tx:
            await self._record_failure(tx, attempt, stored)
        raise InvalidCredentials

    async def _verify(
        self, credentials: LoginCredentials | None, password: str, requester: HashRequester
    ) -> "_VerifiedPassword | None":
        """Verify *password*; without stored credentials, do the same work and return None."""
        password_hash = None if credentials is None else credentials.password_hash
        if (
            not await self._passwords.verify(password_hash, password, requester)
            or credentials is None
        ):
            return None
        new_hash = None
        if self._passwords.is_outdated(credentials.password_hash):
            new_hash = await self._passwords.hash(password, requester)
        return _VerifiedPassword(
            account_id=credentials.account_id,
            password_hash=credentials.password_hash,
            new_hash=new_hash,
        )

    async def _complete(
        self,
        tx: Transaction,
        attempt: LoginAttempt,
        verified: "_VerifiedPassword",
        create_session: SessionFactory[S],
    ) -> S:
        account_id = verified.account_id
        if verified.new_hash is not None:
            await self._accounts.replace_hash(
                tx, account_id, old=verified.password_hash, new=verified.new_hash
            )
        session = await create_session(tx, account_id, PASSWORD_LEVEL)
        await self._throttle.record_success(tx, attempt)
        tx.emit(LoginSucceeded(account_id=account_id, subject=attempt.subject, timestamp=tx.now))
        return session

    async def _record_blocked(
        self, tx: Transaction, attempt: LoginAttempt, account_id: UUID
    ) -> None:
        """Record the right password of a blocked account; it does not count as a failure."""
        await self._throttle.release(tx, attempt)
        tx.emit(
            LoginRefusedBlocked(account_id=account_id, subject=attempt.subject, timestamp=tx.now)
        )

    async def _record_failure(
        self, tx: Transaction, attempt: LoginAttempt, credentials: LoginCredentials | None
    ) -> None:
        account_id = None if credentials is None else credentials.account_id
        await self._throttle.record_failure(tx, attempt, account_id)
        if credentials is not None and self._passwords.is_damaged(credentials.password_hash):
            tx.emit(CredentialCorrupt(account_id=credentials.account_id, timestamp=tx.now))
        tx.emit(
            LoginFailed(
                subject=attempt.subject,
                account_id=account_id,
                reason="locked" if attempt.is_locked else "wrong" if account_id else "unknown",
                timestamp=tx.now,
            )
        )


class _VerifiedPassword(RedactedStruct, frozen=True, kw_only=True):
    """The password matches `password_hash`. `new_hash` is set if the parameters are outdated."""

    account_id: UUID
    password_hash: str
    new_hash: str | None

    @property
    def is_outdated(self) -> bool:
        return self.new_hash is not None

    repr_members: ClassVar[tuple[str, ...]] = ("account_id",)
