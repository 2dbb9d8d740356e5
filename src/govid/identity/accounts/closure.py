"""Closes an account permanently and erases its personal data."""

from govid.bus import OperationContext, Principal, UnitOfWork
from govid.bus.contracts import AccountClosed
from govid.identity.accounts.standing import SessionRevocation
from govid.identity.mail.correspondence import EmailOutbox
from govid.identity.passwords.reauthentication import Reauthentication
from govid.identity.repository.facts import ClaimedFactsRepository
from govid.identity.repository.letters import EmailKind
from govid.identity.repository.links import OneTimeTokens, TokenPurpose
from govid.identity.repository.owners import PasswordAccountRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository

CLOSURE_REASON = "account_closed"


class AccountClosure:
    """Closes accounts: erases personal data and ends sessions and tokens in one transaction.

    The address can be used again at once: it proves nothing, and it must be erased. A verified
    identifier stays reserved for a time, so that a thief of a session and a password cannot
    register it in another account at once. An unverified identifier is released at once, because
    a stranger may have claimed it. Stored events stay unchanged until the retention of the bus
    ends. The departments receive the event and handle their own data.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: PasswordAccountRepository,
        sessions: SessionRevocation,
        one_time_tokens: OneTimeTokens,
        reauthentication: Reauthentication,
        email_outbox: EmailOutbox,
        facts: ClaimedFactsRepository,
        attempts: VerificationAttemptRepository,
    ) -> None:
        """Close accounts whose holder confirms the password by *reauthentication*."""
        self._uow = uow
        self._accounts = accounts
        self._sessions = sessions
        self._one_time_tokens = one_time_tokens
        self._reauthentication = reauthentication
        self._email_outbox = email_outbox
        self._facts = facts
        self._attempts = attempts

    async def close(self, password: str, principal: Principal, cause: OperationContext) -> None:
        """Close the principal's account. This cannot be undone.

        Raises:
            PasswordNotConfirmed: the password is not correct.
            SignInBusy: the queue for password hashing is full.
        """
        async with (
            self._reauthentication.require_password(principal, password, cause) as proof,
            self._uow.begin(cause) as tx,
        ):
            account = await self._reauthentication.confirm(tx, proof)
            # Security e-mails that are not sent yet stay: a thief may be closing the account.
            await self._email_outbox.withdraw_links(tx, account.id)
            await self._email_outbox.notify(tx, EmailKind.ACCOUNT_CLOSED, account)
            await self._one_time_tokens.revoke(
                tx, account.id, TokenPurpose.RESET, TokenPurpose.EMAIL
            )
            await self._facts.delete(tx, [account.id])
            await self._attempts.detach_account(tx, account.id)
            await self._accounts.close(tx, account.id)
            await self._sessions.revoke_all(tx, account.id, reason=CLOSURE_REASON)
            tx.emit(AccountClosed(account_id=account.id, timestamp=tx.now))
