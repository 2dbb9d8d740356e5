"""Signing in with a password."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from govid.bus import Cause, Transaction, UnitOfWork
from govid.identity.errors import AccountIsBlocked, Fault, InvalidCredentials
from govid.identity.passwords.hashing import Passwords
from govid.identity.repository.accounts import BLOCKED, Accounts, Credentials
from govid.identity.rules import canonical, email_address
from govid.identity.schemas import GrantView, Login, TokenView
from govid.identity.sessions.opening import Opening

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
    first reads; it is also where an attempt will be reserved, visibly to others, before the slow
    part. The second trusts nothing that the first has read.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: Accounts,
        passwords: Passwords,
        opening: Opening,
    ) -> None:
        """Let *opening* open the sessions of those whose password is right."""
        self._uow = uow
        self._accounts = accounts
        self._passwords = passwords
        self._opening = opening

    async def login(self, request: Login, cause: Cause) -> TokenView:
        """Return the only token of a new session. Raises what `_admit` raises."""
        return self._opening.token(await self._admit(request, cause, self._opening.once))

    async def begin(self, request: Login, cause: Cause) -> GrantView:
        """Return the tokens of a new session that can be renewed. Raises what `_admit` raises."""
        return self._opening.tokens(await self._admit(request, cause, self._opening.renewable))

    async def _admit(self, request: Login, cause: Cause, open_session: Open[S]) -> S:
        """Open a session for the account with this address and password.

        Raises:
            InvalidCredentials: no such account, or another password; after the same work.
            AccountIsBlocked: the password is right, and the account is blocked.
            SignInBusy: too many passwords are being hashed.
        """
        address = _canonical_or_nobody(request.email)
        for _ in range(LOOKS):
            async with self._uow.begin(cause) as tx:
                found = await self._accounts.credentials(tx, address)
            stored = None if found is None else found.password_hash
            if not await self._passwords.verify(stored, request.password) or found is None:
                raise InvalidCredentials
            renewed = await self._renewed(found, request.password)
            async with self._uow.begin(cause) as tx:
                if await self._still(tx, found, renewed):
                    return await open_session(tx, found.account_id, PASSWORD_LEVEL)
            # Meanwhile the password was changed, or a parallel sign-in renewed its hash.
        raise InvalidCredentials

    async def _renewed(self, found: Credentials, password: str) -> str | None:
        """Return a hash with today's parameters, if the stored one has others."""
        if self._passwords.is_outdated(found.password_hash):
            return await self._passwords.hash(password)
        return None

    async def _still(self, tx: Transaction, found: Credentials, renewed: str | None) -> bool:
        """Lock the account; tell whether the password is still the one that was verified."""
        now = await self._accounts.lock(tx, found.account_id, write=renewed is not None)
        if now is None or now.password_hash != found.password_hash:
            return False
        if now.status == BLOCKED:
            raise AccountIsBlocked
        if renewed is not None:
            await self._accounts.rehash(tx, found.account_id, old=found.password_hash, new=renewed)
        return True


def _canonical_or_nobody(address: str) -> str:
    """Return the canonical form of *address*; what is no address is nobody's, and asked for too."""
    try:
        return canonical(email_address(address))
    except Fault:
        return ""
