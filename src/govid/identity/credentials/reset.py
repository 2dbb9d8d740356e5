"""Resets a forgotten password by a one-time token that is sent by e-mail."""

from functools import partial

from govid.bus import Cause, Invalid, UnitOfWork
from govid.bus.contracts import CredentialChanged, CredentialResetRequested
from govid.bus.shared.account_status import AccountStatus
from govid.identity.errors import Fault, LinkIsSpent
from govid.identity.mail.correspondence import Correspondence
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.policy import Policy
from govid.identity.passwords.turns import Asker
from govid.identity.repository.letters import LetterKind
from govid.identity.repository.links import Links, Purpose
from govid.identity.repository.owners import Owner, Owners
from govid.identity.rules import canonical_or_nobody
from govid.identity.schemas import ConfirmReset
from govid.identity.sessions.ending import SessionRevocation
from govid.identity.throttle.attempts import Flow, Throttle

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
        accounts: Owners,
        session_revoker: SessionRevocation,
        one_time_tokens: Links,
        passwords: Passwords,
        policy: Policy,
        throttle: Throttle,
        email_outbox: Correspondence,
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

    async def request(self, email: str, cause: Cause) -> None:
        """Send a reset link to the account with this address.

        No e-mail is sent if the address is unknown, its account is blocked or it was used for too
        many requests. The work and the answer are the same in all cases.

        Raises:
            MailIsOff: no e-mail transport is configured.
            TooManyAttempts: the client network has made too many requests.
        """
        self._email_outbox.require()
        subject = canonical_or_nobody(email)
        attempt, found = await self._throttle.reserve(
            Flow.RESET,
            subject,
            cause,
            partial(self._accounts.with_address, email_canonical=subject),
            by_network=True,
        )
        async with self._uow.begin(cause) as tx:
            first = await self._email_outbox.is_first_this_hour(tx, LetterKind.RESET, subject)
            due = _if_not_blocked(found) if first or not attempt.is_locked else None
            # The e-mail goes to the stored address, never to the submitted one.
            account_id, address = (None, None) if due is None else (due.id, due.email)
            email_id = await self._email_outbox.ask(
                tx, LetterKind.RESET, account_id, address, subject=subject, is_exempt=first
            )
            tx.emit(
                CredentialResetRequested(
                    request_id=email_id, account_id=account_id, timestamp=tx.now
                )
            )
            # Each request counts as a failure, because each may put an e-mail into an inbox.
            await self._throttle.fail(tx, attempt, account_id)

    async def confirm(self, request: ConfirmReset, cause: Cause) -> None:
        """Set the new password; revoke all sessions and one-time tokens, and end a login lockout.

        Raises:
            LinkIsSpent: the token was used or has expired, or the account is blocked.
            Invalid: the new password breaks a rule; the token stays valid.
            SignInBusy: the queue of password hashing is full or too slow.
        """
        async with self._uow.begin(cause) as tx:
            target = await self._one_time_tokens.find(tx, Purpose.RESET, request.token)
            account = None if target is None else await self._accounts.find(tx, target.account_id)
        if target is None or account is None:
            raise LinkIsSpent
        password_hash = await self._passwords.hash(
            self._validated(request.password, account), Asker.of(cause, str(account.id))
        )
        async with self._uow.begin(cause) as tx:
            account = _if_not_blocked(await self._accounts.lock(tx, account.id, write=True))
            if account is None or account.email != target.address:
                raise LinkIsSpent
            if not await self._one_time_tokens.use(tx, Purpose.RESET, request.token):
                raise LinkIsSpent
            await self._accounts.set_password(tx, account.id, password_hash)
            if account.email_confirmed_at is None:
                await self._accounts.confirm_email(tx, account.id)
            await self._session_revoker.revoke_all(tx, account.id, reason=RESET_REASON)
            await self._one_time_tokens.revoke(tx, account.id, Purpose.RESET, Purpose.EMAIL)
            await self._email_outbox.take_back(tx, account.id)
            await self._email_outbox.tell(tx, LetterKind.PASSWORD_CHANGED, account)
            # The token proves control of the mailbox, so failures of other clients no longer
            # lock the account holder out.
            await self._throttle.lift(tx, Flow.SIGN_IN, account.email_canonical)
            tx.emit(CredentialChanged(account_id=account.id, how="reset", timestamp=tx.now))

    def _validated(self, password: str, account: Owner) -> str:
        try:
            return self._policy.admit(
                password, email=account.email, identifier=account.identifier_value
            )
        except Fault as fault:
            raise Invalid.at("password", str(fault), fault.kind) from None


def _if_not_blocked(account: Owner | None) -> Owner | None:
    return None if account is None or account.status == AccountStatus.BLOCKED else account
