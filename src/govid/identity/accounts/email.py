"""Confirms and changes the e-mail address of an account."""

from collections.abc import Callable

from govid.bus import (
    Cause,
    Invalid,
    Principal,
    Pseudonyms,
    Quota,
    Quotas,
    Transaction,
    UnitOfWork,
    rerun_on_conflict,
)
from govid.bus.contracts import EmailChanged, EmailChangeRequested, EmailConfirmed
from govid.bus.shared.account_status import AccountStatus
from govid.identity.errors import Fault, LinkIsSpent, TooManyAttempts
from govid.identity.mail.correspondence import Correspondence
from govid.identity.passwords.reauthentication import Reauthentication
from govid.identity.repository.letters import LetterKind
from govid.identity.repository.links import Links, Promise, Purpose
from govid.identity.repository.owners import Owner, Owners
from govid.identity.rules import canonical, reachable_address
from govid.identity.schemas import ChangeEmail

MAX_LINKS_PER_DAY = 10
"""Quota of confirmation links per account and day, because the recipient may be a third party."""
_DAY_SECONDS = 86_400


class EmailDesk:
    """Confirms and changes e-mail addresses. A new address takes effect when it is confirmed."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: Owners,
        one_time_tokens: Links,
        quotas: Quotas,
        reauthentication: Reauthentication,
        email_outbox: Correspondence,
        pseudonyms: Pseudonyms,
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

    async def ask(self, principal: Principal, cause: Cause) -> None:
        """Send a confirmation link to the principal's own address.

        Raises:
            MailIsOff: there is no e-mail transport.
            TooManyAttempts: the daily quota of the account is used.
        """
        self._email_outbox.require()
        async with self._uow.begin(cause) as tx:
            account = await self._accounts.lock(tx, principal.account_id, write=False)
            if account is not None:
                await self._count(tx, account)
                await self._email_outbox.ask(
                    tx,
                    LetterKind.EMAIL_CONFIRMATION,
                    account.id,
                    account.email,
                    subject=canonical(account.email),
                )

    async def change(self, request: ChangeEmail, principal: Principal, cause: Cause) -> None:
        """Send a confirmation link to the new address and notify the old one.

        The response and the work do not reveal whether another account has the new address. The
        link is sent only if no account has it.

        Raises:
            Invalid: the new address is not an e-mail address.
            PasswordNotConfirmed: the password is not correct.
            MailIsOff: there is no e-mail transport.
            TooManyAttempts: the daily quota of the account is used.
        """
        self._email_outbox.require()
        try:
            address = reachable_address(request.email, unicode=self._accepts_unicode())
        except Fault as fault:
            raise Invalid.at("email", str(fault), fault.kind) from None
        async with (
            self._reauthentication.proved(principal, request.password, cause) as proof,
            self._uow.begin(cause) as tx,
        ):
            account = await self._reauthentication.confirm(tx, proof)
            await self._count(tx, account)
            await self._email_outbox.ask(
                tx, LetterKind.EMAIL_CHANGE, account.id, address, subject=canonical(address)
            )
            await self._email_outbox.tell(tx, LetterKind.EMAIL_CHANGE_REQUESTED, account)
            tx.emit(EmailChangeRequested(account_id=account.id, timestamp=tx.now))

    @rerun_on_conflict
    async def confirm(self, token: str, cause: Cause) -> None:
        """Use the one-time token: confirm the address, or change to the new one.

        Raises:
            LinkIsSpent: the token was used, has expired, or the account is blocked.
            EmailTaken: another account has taken the new address in the meantime.
        """
        async with self._uow.begin(cause) as tx:
            target = await self._one_time_tokens.find(tx, Purpose.EMAIL, token)
            if target is None:
                raise LinkIsSpent
            account = await self._accounts.lock(tx, target.account_id, write=True)
            if account is None or account.status == AccountStatus.BLOCKED:
                raise LinkIsSpent
            if not await self._one_time_tokens.use(tx, Purpose.EMAIL, token):
                raise LinkIsSpent
            if target.address == account.email:
                await self._accounts.confirm_email(tx, account.id)
                tx.emit(EmailConfirmed(account_id=account.id, timestamp=tx.now))
            else:
                await self._change_address(tx, account, target)

    async def _change_address(self, tx: Transaction, account: Owner, target: Promise) -> None:
        await self._accounts.set_email(tx, account.id, target.address, canonical(target.address))
        # Tokens that were sent to the old address must no longer work.
        await self._one_time_tokens.revoke(tx, account.id, Purpose.RESET, Purpose.EMAIL)
        await self._email_outbox.take_back(tx, account.id)
        await self._email_outbox.tell(tx, LetterKind.EMAIL_CHANGED, account)
        tx.emit(EmailChanged(account_id=account.id, timestamp=tx.now))

    async def _count(self, tx: Transaction, account: Owner) -> None:
        quota = Quota(
            kind="letters",
            bucket=self._pseudonyms.of(f"letters:{account.id}"),
            most=MAX_LINKS_PER_DAY,
            seconds=_DAY_SECONDS,
        )
        seconds = await self._quotas.count(tx, [quota])
        if seconds is not None:
            raise TooManyAttempts(retry_after_seconds=seconds)
