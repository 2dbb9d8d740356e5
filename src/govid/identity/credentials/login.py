"""Signing in with a password."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import msgspec

from govid.bus import Cause, Transaction, UnitOfWork
from govid.bus.contracts import (
    CredentialCorrupt,
    LoginFailed,
    LoginRefusedBlocked,
    LoginSucceeded,
)
from govid.bus.shared.account_status import AccountStatus
from govid.identity.errors import AccountIsBlocked, InvalidCredentials
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.turns import Asker
from govid.identity.repository.accounts import Accounts, Credentials
from govid.identity.rules import canonical_or_nobody
from govid.identity.schemas import GrantView, Login, TokenView
from govid.identity.sessions.opening import Opening
from govid.identity.throttle.attempts import Attempt, Flow, Throttle

PASSWORD_LEVEL = "Cl"  # noqa: S105 - the name of a level
"""The level of a sign-in with nothing but a password (One Login's vocabulary)."""

LOOKS = 2
"""How often a sign-in is checked when the stored hash changes under its eyes."""

S = TypeVar("S")
Open = Callable[[Transaction, UUID, str], Awaitable[S]]
"""Opens a session for an account that holds its lock, at a level."""


class SignIn:
    """Signs people in.

    It opens two transactions on purpose: no connection is held while a password is hashed. The
    first reserves the attempt, visibly to others, before the slow part; the second trusts nothing
    that the first has read, and settles. Who is unknown, wrong or locked out costs the same
    statements and one hash, and gets the same answer.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: Accounts,
        passwords: Passwords,
        opening: Opening,
        throttle: Throttle,
    ) -> None:
        """Let *opening* open the sessions of those whose password is right."""
        self._uow = uow
        self._accounts = accounts
        self._passwords = passwords
        self._opening = opening
        self._throttle = throttle

    async def login(self, request: Login, cause: Cause) -> TokenView:
        """Return the only token of a new session. Raises what `_admit` raises."""
        return self._opening.token(await self._admit(request, cause, self._opening.once))

    async def begin(self, request: Login, cause: Cause) -> GrantView:
        """Return the tokens of a new session that can be renewed. Raises what `_admit` raises."""
        return self._opening.tokens(await self._admit(request, cause, self._opening.renewable))

    async def _admit(self, request: Login, cause: Cause, open_session: Open[S]) -> S:
        """Open a session for the account with this address and password.

        Raises:
            InvalidCredentials: no such account, another password, or too many failures before
                this attempt; after the same work.
            AccountIsBlocked: the password is right, and the account is blocked.
            TooManyAttempts: from this network, or at this moment in this name.
            SignInBusy: too many passwords are being hashed.
        """
        address = canonical_or_nobody(request.email)
        asker = Asker.of(cause, address)
        attempt, known = await self._throttle.reserve(
            Flow.SIGN_IN, address, cause, lambda tx: self._accounts.credentials(tx, address)
        )
        found = None if attempt.is_locked else known
        for _ in range(LOOKS):
            async with self._throttle.sparing(attempt, cause):
                proof = await self._prove(found, request.password, asker)
            if proof is None:
                break
            async with self._uow.begin(cause) as tx:
                found = await self._accounts.lock(tx, proof.account_id, write=proof.is_outdated)
                if found is None or found.password_hash != proof.password_hash:
                    # Meanwhile the password was changed, or a parallel sign-in renewed its hash.
                    continue
                if found.status != AccountStatus.BLOCKED:
                    return await self._let_in(tx, attempt, proof, open_session)
                await self._turn_away(tx, attempt, proof.account_id)
            raise AccountIsBlocked
        async with self._uow.begin(cause) as tx:
            await self._refuse(tx, attempt, known)
        raise InvalidCredentials

    async def _prove(
        self, found: Credentials | None, password: str, asker: Asker
    ) -> "_Proof | None":
        """Verify *password*, after the same work where there is nothing to verify it with."""
        stored = None if found is None else found.password_hash
        if not await self._passwords.verify(stored, password, asker) or found is None:
            return None
        renewed = None
        if self._passwords.is_outdated(found.password_hash):
            renewed = await self._passwords.hash(password, asker)
        return _Proof(
            account_id=found.account_id, password_hash=found.password_hash, renewed=renewed
        )

    async def _let_in(
        self, tx: Transaction, attempt: Attempt, proof: "_Proof", open_session: Open[S]
    ) -> S:
        account_id = proof.account_id
        if proof.renewed is not None:
            await self._accounts.rehash(tx, account_id, old=proof.password_hash, new=proof.renewed)
        session = await open_session(tx, account_id, PASSWORD_LEVEL)
        await self._throttle.succeed(tx, attempt)
        tx.emit(LoginSucceeded(account_id=account_id, subject=attempt.subject, timestamp=tx.now))
        return session

    async def _turn_away(self, tx: Transaction, attempt: Attempt, account_id: UUID) -> None:
        """Record the right password of a blocked account, which says nothing against anybody."""
        await self._throttle.release(tx, attempt)
        tx.emit(
            LoginRefusedBlocked(account_id=account_id, subject=attempt.subject, timestamp=tx.now)
        )

    async def _refuse(self, tx: Transaction, attempt: Attempt, known: Credentials | None) -> None:
        account_id = None if known is None else known.account_id
        await self._throttle.fail(tx, attempt, account_id)
        if known is not None and self._passwords.is_damaged(known.password_hash):
            tx.emit(CredentialCorrupt(account_id=known.account_id, timestamp=tx.now))
        tx.emit(
            LoginFailed(
                subject=attempt.subject,
                account_id=account_id,
                reason="locked" if attempt.is_locked else "wrong" if account_id else "unknown",
                timestamp=tx.now,
            )
        )


class _Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The password was right for this hash. `renewed` is one of today's parameters, if needed."""

    account_id: UUID
    password_hash: str
    renewed: str | None

    @property
    def is_outdated(self) -> bool:
        return self.renewed is not None

    def __repr__(self) -> str:
        """Name the account only (I9)."""
        return f"<_Proof {self.account_id}>"
