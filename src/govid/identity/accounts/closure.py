"""Closing an account, for good."""

from govid.bus import Cause, Principal, UnitOfWork
from govid.bus.contracts import AccountClosed
from govid.identity.accounts.standing import Ending
from govid.identity.mail.correspondence import Correspondence
from govid.identity.passwords.reauthentication import Reauthentication
from govid.identity.repository.facts import Facts
from govid.identity.repository.letters import LetterKind
from govid.identity.repository.links import Links, Purpose
from govid.identity.repository.owners import Owners
from govid.identity.repository.verification_attempts import VerificationAttempts

REASON = "account_closed"


class Closure:
    """Closes accounts: what is personal goes, in one commit with every session and link.

    The address is free at once: it proves nothing, and keeping it would be keeping what was to be
    erased. A verified identifier is held for a time, so that whoever has stolen a session and a
    password cannot at once claim it in an account of their own. One that was never proved is free
    at once: a stranger may have claimed it. Stored events stay as they are until the
    bus's retention ends; the departments hear of it, and act for themselves.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        owners: Owners,
        ending: Ending,
        links: Links,
        reauthentication: Reauthentication,
        correspondence: Correspondence,
        facts: Facts,
        attempts: VerificationAttempts,
    ) -> None:
        """Close for whoever knows the password."""
        self._uow = uow
        self._owners = owners
        self._ending = ending
        self._links = links
        self._reauthentication = reauthentication
        self._correspondence = correspondence
        self._facts = facts
        self._attempts = attempts

    async def close(self, password: str, principal: Principal, cause: Cause) -> None:
        """Close the principal's account. There is no way back.

        Raises:
            PasswordNotConfirmed: the password is not right.
            SignInBusy: too many passwords are being hashed.
        """
        async with (
            self._reauthentication.proved(principal, password, cause) as proof,
            self._uow.begin(cause) as tx,
        ):
            owner = await self._reauthentication.confirm(tx, proof)
            # Notices that have not left yet stay: a thief may be the one who closes the account.
            await self._correspondence.take_back(tx, owner.id)
            await self._correspondence.tell(tx, LetterKind.ACCOUNT_CLOSED, owner)
            await self._links.revoke(tx, owner.id, Purpose.RESET, Purpose.EMAIL)
            await self._facts.forget(tx, [owner.id])
            await self._attempts.leave(tx, owner.id)
            await self._owners.close(tx, owner.id)
            await self._ending.revoke_all(tx, owner.id, reason=REASON)
            tx.emit(AccountClosed(account_id=owner.id, timestamp=tx.now))
