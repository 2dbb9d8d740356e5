"""Signing in with a password."""

from datetime import timedelta

from govid.bus import Cause, Transaction, UnitOfWork
from govid.identity.errors import AccountIsBlocked, InvalidCredentials
from govid.identity.passwords.hashing import Passwords
from govid.identity.repository.accounts import BLOCKED, Accounts, Credentials
from govid.identity.repository.sessions import Opened, Sessions
from govid.identity.rules import Fault, canonical, email_address
from govid.identity.schemas import Login, TokenView
from govid.identity.tokens.access import Tokens

CLIENT_ID = "govid"
"""The client of whoever signs in at govid itself."""

PASSWORD_LEVEL = "Cl"  # noqa: S105 - the name of a level
"""The level of a sign-in with nothing but a password (One Login's vocabulary)."""

LOOKS = 2
"""How often a sign-in is checked when the stored hash changes under its eyes."""


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
        sessions: Sessions,
        passwords: Passwords,
        tokens: Tokens,
        *,
        lifetime: timedelta,
    ) -> None:
        """Open sessions of one *lifetime*, the token's own: nothing could renew them."""
        self._uow = uow
        self._accounts = accounts
        self._sessions = sessions
        self._passwords = passwords
        self._tokens = tokens
        self._lifetime = lifetime

    async def login(self, request: Login, cause: Cause) -> TokenView:
        """Return an access token for the account with this address and password.

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
                opened = await self._open(tx, found, renewed)
            if opened is not None:
                return self._token(opened)
            # Meanwhile the password was changed, or a parallel sign-in renewed its hash.
        raise InvalidCredentials

    async def _renewed(self, found: Credentials, password: str) -> str | None:
        """Return a hash with today's parameters, if the stored one has others."""
        if self._passwords.is_outdated(found.password_hash):
            return await self._passwords.hash(password)
        return None

    async def _open(
        self, tx: Transaction, found: Credentials, renewed: str | None
    ) -> Opened | None:
        """Open a session, unless the password is no longer the one that was verified."""
        now = await self._accounts.lock(tx, found.account_id, write=renewed is not None)
        if now is None or now.password_hash != found.password_hash:
            return None
        if now.status == BLOCKED:
            raise AccountIsBlocked
        if renewed is not None:
            await self._accounts.rehash(tx, found.account_id, old=found.password_hash, new=renewed)
        return await self._sessions.open(
            tx, found.account_id, client_id=CLIENT_ID, acr=PASSWORD_LEVEL, lifetime=self._lifetime
        )

    def _token(self, opened: Opened) -> TokenView:
        return TokenView(
            access_token=self._tokens.issue(
                account_id=opened.account_id,
                session_id=opened.session_id,
                client_id=CLIENT_ID,
                acr=PASSWORD_LEVEL,
                auth_time=opened.auth_time,
            )
        )


def _canonical_or_nobody(address: str) -> str:
    """Return the canonical form of *address*; what is no address is nobody's, and asked for too."""
    try:
        return canonical(email_address(address))
    except Fault:
        return ""
