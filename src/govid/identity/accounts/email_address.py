"""Confirms and changes the e-mail address of an account."""

from collections.abc import Callable

from govid.bus import (
    InvalidRequest,
    OperationContext,
    Principal,
    PseudonymGenerator,
    QuotaCounters,
    QuotaRule,
    Transaction,
    UnitOfWork,
    rerun_on_conflict,
)
from govid.bus.events import EmailChanged, EmailChangeRequested, EmailConfirmed
from govid.bus.shared.contract import AccountStatus
from govid.identity.credentials.reauthentication import Reauthentication
from govid.identity.email.outgoing import EmailOutbox
from govid.identity.errors import FieldError, LinkIsSpent, TooManyAttempts
from govid.identity.repository.accounts import PasswordAccount, PasswordAccountRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens, TokenPurpose, TokenTarget
from govid.identity.repository.outgoing_email import EmailKind
from govid.identity.schemas import ChangeEmail
from govid.identity.validation import canonical_email, normalise_deliverable_email

MAX_LINKS_PER_DAY = 10
"""Quota of confirmation links per account and day, because the recipient may be a third party."""
_DAY_SECONDS = 86_400


class EmailAddressService:
    """Confirms and changes e-mail addresses. A new address takes effect when it is confirmed."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: PasswordAccountRepository,
        one_time_tokens: OneTimeTokens,
        quotas: QuotaCounters,
        reauthentication: Reauthentication,
        email_outbox: EmailOutbox,
        pseudonyms: PseudonymGenerator,
        accepts_unicode: Callable[[], bool] = lambda: True,
    ) -> None:
        """Change addresses after *reauthentication* and count links by *pseudonyms*.

        *accepts_unicode* returns whether e-mail can be sent to an address with non-ASCII letters.
        """
        self._uow = uow
        self._accounts = accounts
        self._one_time_tokens = one_time_tokens
        self._quotas = quotas
        self._reauthentication = reauthentication
        self._email_outbox = email_outbox
        self._pseudonyms = pseudonyms
        self._accepts_unicode = accepts_unicode

    async def request_confirmation(self, principal: Principal, context: OperationContext) -> None:
        """Send a confirmation link to the principal's own address.

        Raises:
            MailIsOff: there is no e-mail transport.
            TooManyAttempts: the daily quota of the account is used.
        """
        self._email_outbox.require_transport()
        async with self._uow.begin(context) as tx:
            account = await self._accounts.lock(tx, principal.account_id, write=False)
            if account is not None:
                await self._count_link(tx, account)
                await self._email_outbox.enqueue(
                    tx,
                    EmailKind.EMAIL_CONFIRMATION,
                    account.id,
                    account.email,
                    subject=canonical_email(account.email),
                )

    async def request_change(
        self, request: ChangeEmail, principal: Principal, context: OperationContext
    ) -> None:
        """Send a confirmation link to the new address and notify the old one.

        The response and the work do not reveal whether another account has the new address. The
        link is sent only if no account has it.

        Raises:
            InvalidRequest: the new address is not an e-mail address.
            PasswordNotConfirmed: the password is not correct.
            MailIsOff: there is no e-mail transport.
            TooManyAttempts: the daily quota of the account is used.
        """
        self._email_outbox.require_transport()
        try:
            address = normalise_deliverable_email(request.email, unicode=self._accepts_unicode())
        except FieldError as fault:
            raise InvalidRequest.for_field("email", str(fault), fault.kind) from None
        async with (
            self._reauthentication.require_password(principal, request.password, context) as proof,
            self._uow.begin(context) as tx,
        ):
            account = await self._reauthentication.confirm(tx, proof)
            await self._count_link(tx, account)
            await self._email_outbox.enqueue(
                tx, EmailKind.EMAIL_CHANGE, account.id, address, subject=canonical_email(address)
            )
            await self._email_outbox.notify(tx, EmailKind.EMAIL_CHANGE_REQUESTED, account)
            tx.emit(EmailChangeRequested(account_id=account.id, timestamp=tx.now))

    @rerun_on_conflict
    async def confirm(self, token: str, context: OperationContext) -> None:
        """Use the one-time token: confirm the address, or change to the new one.

        Raises:
            LinkIsSpent: the token was used, has expired, or the account is blocked.
            EmailTaken: another account has taken the new address in the meantime.
        """
        async with self._uow.begin(context) as tx:
            target = await self._one_time_tokens.find(tx, TokenPurpose.EMAIL, token)
            if target is None:
                raise LinkIsSpent
            account = await self._accounts.lock(tx, target.account_id, write=True)
            if account is None or account.status == AccountStatus.BLOCKED:
                raise LinkIsSpent
            if not await self._one_time_tokens.consume(tx, TokenPurpose.EMAIL, token):
                raise LinkIsSpent
            if target.address == account.email:
                await self._accounts.confirm_email(tx, account.id)
                tx.emit(EmailConfirmed(account_id=account.id, timestamp=tx.now))
            else:
                await self._change_address(tx, account, target)

    async def _change_address(
        self, tx: Transaction, account: PasswordAccount, target: TokenTarget
    ) -> None:
        await self._accounts.set_email(
            tx, account.id, target.address, canonical_email(target.address)
        )
        # Tokens that were sent to the old address must no longer work.
        await self._one_time_tokens.revoke(tx, account.id, TokenPurpose.RESET, TokenPurpose.EMAIL)
        await self._email_outbox.delete_emails_with_links(tx, account.id)
        await self._email_outbox.notify(tx, EmailKind.EMAIL_CHANGED, account)
        tx.emit(EmailChanged(account_id=account.id, timestamp=tx.now))

    async def _count_link(self, tx: Transaction, account: PasswordAccount) -> None:
        quota = QuotaRule(
            kind="letters",
            bucket=self._pseudonyms.for_value(f"letters:{account.id}"),
            limit=MAX_LINKS_PER_DAY,
            seconds=_DAY_SECONDS,
        )
        retry_after_seconds = await self._quotas.consume(tx, [quota])
        if retry_after_seconds is not None:
            raise TooManyAttempts(retry_after_seconds=retry_after_seconds)
