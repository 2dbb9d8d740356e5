"""Changes the password of an account."""

from govid.bus import InvalidRequest, OperationContext, Principal, UnitOfWork
from govid.bus.contracts import CredentialChanged
from govid.identity.errors import FieldError
from govid.identity.mail.correspondence import EmailOutbox
from govid.identity.passwords.hashing import PasswordHashing
from govid.identity.passwords.policy import PasswordPolicy
from govid.identity.passwords.reauthentication import Reauthentication
from govid.identity.passwords.turns import HashRequester
from govid.identity.repository.letters import EmailKind
from govid.identity.repository.links import OneTimeTokens, TokenPurpose
from govid.identity.repository.owners import PasswordAccountRepository
from govid.identity.schemas import ChangePassword
from govid.identity.sessions.ending import SessionRevocation

CHANGE_REASON = "password_changed"


class PasswordChange:
    """Changes the password of an account and revokes all its sessions and one-time tokens."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: PasswordAccountRepository,
        session_revoker: SessionRevocation,
        one_time_tokens: OneTimeTokens,
        passwords: PasswordHashing,
        policy: PasswordPolicy,
        reauthentication: Reauthentication,
        email_outbox: EmailOutbox,
    ) -> None:
        """Validate new passwords by *policy*; the current password is always required."""
        self._uow = uow
        self._accounts = accounts
        self._session_revoker = session_revoker
        self._one_time_tokens = one_time_tokens
        self._passwords = passwords
        self._policy = policy
        self._reauthentication = reauthentication
        self._email_outbox = email_outbox

    async def change(
        self, request: ChangePassword, principal: Principal, cause: OperationContext
    ) -> None:
        """Change the password; every client of the account must sign in again.

        Raises:
            Invalid: the new password breaks a rule of the password policy.
            PasswordNotConfirmed: the current password is wrong.
            SignInBusy: the queue of password hashing is full or too slow.
        """
        try:
            password = self._policy.validate(
                request.password,
                email=principal.email,
                identifier=principal.identifier_value,
            )
        except FieldError as fault:
            raise InvalidRequest.for_field("password", str(fault), fault.kind) from None
        async with self._reauthentication.require_password(
            principal, request.current_password, cause
        ) as proof:
            requester = HashRequester.from_context(cause, str(principal.account_id))
            password_hash = await self._passwords.hash(password, requester)
            async with self._uow.begin(cause) as tx:
                account = await self._reauthentication.confirm(tx, proof)
                await self._accounts.set_password(tx, account.id, password_hash)
                await self._session_revoker.revoke_all(tx, account.id, reason=CHANGE_REASON)
                # An attacker who knew the old password may have requested a new address with it.
                await self._one_time_tokens.revoke(
                    tx, account.id, TokenPurpose.RESET, TokenPurpose.EMAIL
                )
                await self._email_outbox.withdraw_links(tx, account.id)
                await self._email_outbox.notify(tx, EmailKind.PASSWORD_CHANGED, account)
                tx.emit(CredentialChanged(account_id=account.id, how="change", timestamp=tx.now))
