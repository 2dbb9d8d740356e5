"""Changes the password of an account: by its holder, or by a reset link sent by e-mail."""

from functools import partial

from govid.bus import InvalidRequest, OperationContext, Principal, UnitOfWork
from govid.bus.events import CredentialChanged, CredentialResetRequested
from govid.bus.shared.contract import AccountStatus
from govid.identity.credentials.hash_queue import HashRequester
from govid.identity.credentials.password_hashing import PasswordHashing
from govid.identity.credentials.reauthentication import Reauthentication
from govid.identity.email.outgoing import EmailOutbox
from govid.identity.errors import FieldError, LinkIsSpent
from govid.identity.password_policy import PasswordPolicy
from govid.identity.rate_limits.attempts import LoginFlow, LoginThrottle
from govid.identity.repository.accounts import PasswordAccount, PasswordAccountRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens, TokenPurpose
from govid.identity.repository.outgoing_email import EmailKind
from govid.identity.schemas import ChangePassword, ConfirmReset
from govid.identity.sessions.management import SessionRevoker
from govid.identity.validation import canonical_email_or_empty

CHANGE_REASON = "password_changed"


class PasswordChange:
    """Changes the password of an account and revokes all its sessions and one-time tokens."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: PasswordAccountRepository,
        session_revoker: SessionRevoker,
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
        self, request: ChangePassword, principal: Principal, context: OperationContext
    ) -> None:
        """Change the password; every client of the account must sign in again.

        Raises:
            InvalidRequest: the new password breaks a rule of the password policy.
            PasswordNotConfirmed: the current password is wrong.
            LoginBusy: the queue of password hashing is full or too slow.
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
            principal, request.current_password, context
        ) as proof:
            requester = HashRequester.from_context(context, str(principal.account_id))
            password_hash = await self._passwords.hash(password, requester)
            async with self._uow.begin(context) as tx:
                account = await self._reauthentication.confirm(tx, proof)
                await self._accounts.set_password(tx, account.id, password_hash)
                await self._session_revoker.revoke_all(tx, account.id, reason=CHANGE_REASON)
                # An attacker who knew the old password may have requested a new address with it.
                await self._one_time_tokens.revoke(
                    tx, account.id, TokenPurpose.RESET, TokenPurpose.EMAIL
                )
                await self._email_outbox.delete_emails_with_links(tx, account.id)
                await self._email_outbox.notify(tx, EmailKind.PASSWORD_CHANGED, account)
                tx.emit(CredentialChanged(account_id=account.id, how="change", timestamp=tx.now))


RESET_REASON = "password_reset"


class PasswordReset:
    """Sends password-reset links and sets the new password when a link is used.

    Each step opens two transactions, so that no connection is held during slow work. The first
    reserves an attempt that other requests must see, or reads before a password is hashed. The
    second checks again everything that the first has read.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: PasswordAccountRepository,
        session_revoker: SessionRevoker,
        one_time_tokens: OneTimeTokens,
        passwords: PasswordHashing,
        policy: PasswordPolicy,
        throttle: LoginThrottle,
        email_outbox: EmailOutbox,
    ) -> None:
        """Validate new passwords by *policy*."""
        self._uow = uow
        self._accounts = accounts
        self._session_revoker = session_revoker
        self._one_time_tokens = one_time_tokens
        self._passwords = passwords
        self._policy = policy
        self._throttle = throttle
        self._email_outbox = email_outbox

    async def request(self, email: str, context: OperationContext) -> None:
        """Send a reset link to the account with this address.

        No e-mail is sent if the address is unknown, its account is blocked or it was used for too
        many requests. The work and the answer are the same in all cases.

        Raises:
            MailIsOff: no e-mail transport is configured.
            TooManyAttempts: the client network has made too many requests.
        """
        self._email_outbox.require_transport()
        subject = canonical_email_or_empty(email)
        attempt, account = await self._throttle.begin(
            LoginFlow.RESET,
            subject,
            context,
            partial(self._accounts.find_by_email, email_canonical=subject),
            by_network=True,
        )
        async with self._uow.begin(context) as tx:
            is_first = await self._email_outbox.claim_first_of_hour(tx, EmailKind.RESET, subject)
            recipient = _unless_blocked(account) if is_first or not attempt.is_locked else None
            # The e-mail goes to the stored address, never to the submitted one.
            account_id, address = (
                (None, None) if recipient is None else (recipient.id, recipient.email)
            )
            email_id = await self._email_outbox.enqueue(
                tx, EmailKind.RESET, account_id, address, subject=subject, is_exempt=is_first
            )
            tx.emit(
                CredentialResetRequested(
                    request_id=email_id, account_id=account_id, timestamp=tx.now
                )
            )
            # Each request counts as a failure, because each may put an e-mail into an inbox.
            await self._throttle.record_failure(tx, attempt, account_id)

    async def confirm(self, request: ConfirmReset, context: OperationContext) -> None:
        """Set the new password; revoke all sessions and one-time tokens, and end a login lockout.

        Raises:
            LinkIsSpent: the token was used or has expired, or the account is blocked.
            InvalidRequest: the new password breaks a rule; the token stays valid.
            LoginBusy: the queue of password hashing is full or too slow.
        """
        async with self._uow.begin(context) as tx:
            target = await self._one_time_tokens.find(tx, TokenPurpose.RESET, request.token)
            account = None if target is None else await self._accounts.find(tx, target.account_id)
        if target is None or account is None:
            raise LinkIsSpent
        password_hash = await self._passwords.hash(
            self._validate_password(request.password, account),
            HashRequester.from_context(context, str(account.id)),
        )
        async with self._uow.begin(context) as tx:
            account = _unless_blocked(await self._accounts.lock(tx, account.id, write=True))
            if account is None or account.email != target.address:
                raise LinkIsSpent
            if not await self._one_time_tokens.consume(tx, TokenPurpose.RESET, request.token):
                raise LinkIsSpent
            await self._accounts.set_password(tx, account.id, password_hash)
            if account.email_confirmed_at is None:
                await self._accounts.confirm_email(tx, account.id)
            await self._session_revoker.revoke_all(tx, account.id, reason=RESET_REASON)
            await self._one_time_tokens.revoke(
                tx, account.id, TokenPurpose.RESET, TokenPurpose.EMAIL
            )
            await self._email_outbox.delete_emails_with_links(tx, account.id)
            await self._email_outbox.notify(tx, EmailKind.PASSWORD_CHANGED, account)
            # The token proves control of the mailbox, so failures of other clients no longer
            # lock the account holder out.
            await self._throttle.lift_lockout(tx, LoginFlow.LOGIN, account.email_canonical)
            tx.emit(CredentialChanged(account_id=account.id, how="reset", timestamp=tx.now))

    def _validate_password(self, password: str, account: PasswordAccount) -> str:
        try:
            return self._policy.validate(
                password, email=account.email, identifier=account.identifier_value
            )
        except FieldError as fault:
            raise InvalidRequest.for_field("password", str(fault), fault.kind) from None


def _unless_blocked(account: PasswordAccount | None) -> PasswordAccount | None:
    return None if account is None or account.status == AccountStatus.BLOCKED else account
