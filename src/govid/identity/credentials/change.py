"""Changing the password."""

from typing import Any, Protocol
from uuid import UUID

from govid.bus import Cause, Invalid, Principal, Transaction, UnitOfWork
from govid.bus.contracts import CredentialChanged
from govid.identity.errors import Fault
from govid.identity.mail.correspondence import Correspondence
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.policy import Policy
from govid.identity.passwords.reauthentication import Reauthentication
from govid.identity.passwords.turns import Asker
from govid.identity.repository.letters import LetterKind
from govid.identity.repository.links import Links, Purpose
from govid.identity.repository.owners import Owners
from govid.identity.schemas import ChangePassword

REASON = "password_changed"


class Ending(Protocol):
    """Ends the sign-ins of an account."""

    async def revoke_all(self, tx: Transaction, account_id: UUID, *, reason: str) -> Any:
        """Revoke every session of the account, whose older tokens *tx* has made worthless."""


class PasswordChange:
    """Gives an account another password, and ends every session and every link of it."""

    def __init__(
        self,
        uow: UnitOfWork,
        owners: Owners,
        ending: Ending,
        links: Links,
        passwords: Passwords,
        policy: Policy,
        reauthentication: Reauthentication,
        correspondence: Correspondence,
    ) -> None:
        """Admit new passwords by *policy*, from whoever knows the old one."""
        self._uow = uow
        self._owners = owners
        self._ending = ending
        self._links = links
        self._passwords = passwords
        self._policy = policy
        self._reauthentication = reauthentication
        self._correspondence = correspondence

    async def change(self, request: ChangePassword, principal: Principal, cause: Cause) -> None:
        """Change the password; whoever has an older token has to sign in again.

        Raises:
            Invalid: the new one is not admitted.
            PasswordNotConfirmed: the current one is not right.
            SignInBusy: too many passwords are being hashed.
        """
        try:
            password = self._policy.admit(
                request.password,
                email=principal.email,
                identifier=principal.identifier_value,
            )
        except Fault as fault:
            raise Invalid.at("password", str(fault), fault.kind) from None
        async with self._reauthentication.proved(
            principal, request.current_password, cause
        ) as proof:
            asker = Asker.of(cause, str(principal.account_id))
            password_hash = await self._passwords.hash(password, asker)
            async with self._uow.begin(cause) as tx:
                owner = await self._reauthentication.confirm(tx, proof)
                await self._owners.set_password(tx, owner.id, password_hash)
                await self._ending.revoke_all(tx, owner.id, reason=REASON)
                # Whoever knew the old password may have asked for another address with it.
                await self._links.revoke(tx, owner.id, Purpose.RESET, Purpose.EMAIL)
                await self._correspondence.take_back(tx, owner.id)
                await self._correspondence.tell(tx, LetterKind.PASSWORD_CHANGED, owner)
                tx.emit(CredentialChanged(account_id=owner.id, how="change", timestamp=tx.now))
