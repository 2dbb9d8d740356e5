"""E-mail outbox: stores outgoing e-mails in the transaction of their change, then sends them.

See ADR-0015.
"""

import logging
from datetime import timedelta
from uuid import UUID

from govid.bus import (
    Delivery,
    PseudonymGenerator,
    QuotaCounters,
    QuotaRule,
    Transaction,
    UnitOfWork,
)
from govid.bus.events import LetterWritten
from govid.bus.shared.contract import AccountStatus
from govid.identity.email.templates import render_email
from govid.identity.email.transports import AddressRefused, EmailMessage, EmailTransport
from govid.identity.errors import MailIsOff
from govid.identity.repository.accounts import PasswordAccount, PasswordAccountRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens, TokenPurpose, TokenTarget
from govid.identity.repository.outgoing_email import (
    EmailKind,
    OutgoingEmail,
    OutgoingEmailRepository,
)
from govid.identity.settings import IdentitySettings
from govid.identity.validation import canonical_email

log = logging.getLogger(__name__)


HOUR_SECONDS = 3600
NOTICES_PER_HOUR = 10
"""The maximum of notices of one kind per account and hour; more would only repeat the others."""


class EmailOutbox:
    """E-mail outbox: stores an outgoing e-mail and emits the event that triggers its delivery.

    The e-mail, the change that it reports and the event commit together. An e-mail is therefore
    sent if and only if the change has happened. The event holds the id of the e-mail and no
    personal data.
    """

    def __init__(
        self,
        emails: OutgoingEmailRepository,
        quotas: QuotaCounters,
        pseudonyms: PseudonymGenerator,
        *,
        is_enabled: bool,
        max_per_hour: int,
    ) -> None:
        """Store e-mails if a transport is configured (*is_enabled*).

        One recipient gets at most *max_per_hour* requested e-mails of each kind, whichever
        accounts cause them; 0 means no limit, neither for notices. Recipients are counted in
        *quotas* by their pseudonyms.
        """
        self._emails = emails
        self._quotas = quotas
        self._pseudonyms = pseudonyms
        self._is_enabled = is_enabled
        self._max_per_hour = max_per_hour

    def require_transport(self) -> None:
        """Refuse an action that needs e-mail if there is no transport.

        Raises:
            MailIsOff: no e-mail transport is configured.
        """
        if not self._is_enabled:
            raise MailIsOff

    async def enqueue(
        self,
        tx: Transaction,
        kind: EmailKind,
        account_id: UUID | None,
        address: str | None,
        *,
        subject: str,
        is_exempt: bool = False,
    ) -> UUID:
        """Store a requested e-mail and return its id.

        Without an account it is never sent. It is stored all the same, because the duration of a
        request must not tell whether an address has an account.

        It is counted for *subject*, the canonical form of the submitted address, whether or not an
        account has it. Above the quota it is held back, unless it *is_exempt*: it is stored and
        its one-time token is made, so that an export shows no difference, but nothing is sent.
        Each kind is counted separately. Requests of other people for an address therefore do not
        use up the quota of links that only its account holder can request.
        """
        is_over_quota = await self._is_over_quota(
            tx,
            QuotaRule(
                kind=f"emails_{kind}",
                bucket=self._pseudonyms.for_value(f"emails:{subject}"),
                limit=self._max_per_hour,
                seconds=HOUR_SECONDS,
            ),
        )
        is_held_back = is_over_quota and not is_exempt
        if is_held_back:
            log.info("mail.recipient_quota", extra={"operation": kind})
        return await self._insert(tx, kind, account_id, address, is_held_back=is_held_back)

    async def notify(self, tx: Transaction, kind: EmailKind, account: PasswordAccount) -> None:
        """Store a notice to the holder of *account*, if a transport is configured.

        A notice follows an action with the right password or with a link from the mailbox, so it
        is counted by account and apart from requested e-mails. An unconfirmed address may belong to
        another person: an attacker can register it, close the account and start again. Notices to
        such an address are therefore counted by the address.
        """
        if not self._is_enabled:
            return
        is_confirmed = account.email_confirmed_at is not None
        subject = str(account.id) if is_confirmed else canonical_email(account.email)
        quota = QuotaRule(
            kind=f"notices_{kind}",
            bucket=self._pseudonyms.for_value(f"notices:{subject}"),
            limit=NOTICES_PER_HOUR,
            seconds=HOUR_SECONDS,
        )
        if await self._is_over_quota(tx, quota):
            log.info("mail.notice_quota", extra={"operation": kind})
        else:
            await self._insert(tx, kind, account.id, account.email)

    async def claim_first_of_hour(self, tx: Transaction, kind: EmailKind, subject: str) -> bool:
        """Count a request of *kind* for *subject*, a canonical address; return whether it is first.

        The first request of each hour is sent in any case, so that an attacker who makes many
        requests for an address cannot keep its account holder from getting any e-mail.
        """
        first = QuotaRule(
            kind=f"first_{kind}",
            bucket=self._pseudonyms.for_value(f"emails:{subject}"),
            limit=1,
            seconds=HOUR_SECONDS,
        )
        return await self._quotas.consume(tx, [first]) is None

    async def delete_emails_with_links(self, tx: Transaction, account_id: UUID) -> None:
        """Delete unsent e-mails with links, after a change that revokes the account's links."""
        await self._emails.delete_with_links(tx, account_id)

    async def _is_over_quota(self, tx: Transaction, quota: QuotaRule) -> bool:
        if not self._max_per_hour:
            return False
        return await self._quotas.consume(tx, [quota]) is not None

    async def _insert(
        self,
        tx: Transaction,
        kind: EmailKind,
        account_id: UUID | None,
        address: str | None,
        *,
        is_held_back: bool = False,
    ) -> UUID:
        email_id = await self._emails.insert(tx, kind, account_id, address)
        tx.emit(
            LetterWritten(
                letter_id=email_id, kind=kind, is_held_back=is_held_back, timestamp=tx.now
            )
        )
        return email_id


SUBSCRIBER = "identity.letters"
"""A permanent name, like the event `LetterWritten`: a letter is an outgoing e-mail."""
RESET_PAGE = "/reset"
CONFIRM_PAGE = "/account/confirm"

_LINKED = {
    EmailKind.RESET: (TokenPurpose.RESET, RESET_PAGE),
    EmailKind.EMAIL_CONFIRMATION: (TokenPurpose.EMAIL, CONFIRM_PAGE),
    EmailKind.EMAIL_CHANGE: (TokenPurpose.EMAIL, CONFIRM_PAGE),
}


class EmailSender:
    """Sends each stored e-mail at least once; the handler of the e-mail outbox.

    The one-time token of a link is made just before the e-mail is sent. Its digest commits in a
    separate transaction first, so that the link works as soon as the e-mail arrives. The token
    itself is only in the e-mail. After a crash between commit and send, the e-mail is sent again
    with another token; both tokens are valid for their lifetime.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        emails: OutgoingEmailRepository,
        one_time_tokens: OneTimeTokens,
        accounts: PasswordAccountRepository,
        transport: EmailTransport,
        settings: IdentitySettings,
    ) -> None:
        """Send by *transport*."""
        self._uow = uow
        self._emails = emails
        self._one_time_tokens = one_time_tokens
        self._accounts = accounts
        self._transport = transport
        self._settings = settings

    async def prepare(self, delivery: Delivery[LetterWritten]) -> None:
        """Send the e-mail, unless it was withdrawn or its link would no longer be usable."""
        async with self._uow.begin(delivery.operation_context(SUBSCRIBER)) as tx:
            message = await self._compose(tx, delivery.event)
        if message is None:
            return
        try:
            await self._transport.send(message)
        except AddressRefused:
            # The e-mail is dropped, because a retry to a rejected address would not help.
            log.warning("mail.refused", extra={"event_id": str(delivery.id)})

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[LetterWritten],
        outcome: None,  # noqa: ARG002 - the protocol's signature
    ) -> None:
        """Delete the stored e-mail."""
        await self._emails.delete(tx, delivery.event.letter_id)

    async def _compose(self, tx: Transaction, event: LetterWritten) -> EmailMessage | None:
        email = await self._emails.find(tx, event.letter_id)
        if email is None or email.account_id is None or email.address is None:
            return None
        link = ""
        if email.kind in _LINKED:
            # The lock excludes a concurrent transaction that revokes all links and would miss this
            # one. Such a transaction also deletes the e-mail, so it is read again after the lock.
            account = await self._accounts.lock(tx, email.account_id, write=False)
            if account is None or await self._emails.find(tx, email.id) is None:
                return None
            is_due = await self._is_due(tx, email, account)
            is_change = email.kind is EmailKind.EMAIL_CHANGE
            if not is_due and (not is_change or account.status == AccountStatus.BLOCKED):
                return None
            # The token is made even if nothing is sent, because the data export lists it. Otherwise
            # the export would tell whether another address is taken, or how many e-mails it got.
            target = TokenTarget(account_id=account.id, address=email.address)
            link = await self._build_link(tx, email.kind, target, is_held_back=event.is_held_back)
            if event.is_held_back or not is_due:
                return None
        subject, text = render_email(
            email.kind,
            written_at=email.written_at,
            link=link,
            minutes=self._settings.reset_seconds // 60,
            hours=self._settings.confirmation_seconds // 3600,
            held_days=self._settings.closed_identifier_days,
        )
        return EmailMessage(id=email.id, to=email.address, subject=subject, text=text)

    async def _is_due(
        self, tx: Transaction, email: OutgoingEmail, account: PasswordAccount
    ) -> bool:
        """Tell whether the link of the e-mail could still be used."""
        if account.status == AccountStatus.BLOCKED or email.address is None:
            return False
        if email.kind is EmailKind.EMAIL_CHANGE:
            other = await self._accounts.find_by_email(tx, canonical_email(email.address))
            return other is None or other.id == account.id
        return account.email == email.address

    async def _build_link(
        self, tx: Transaction, kind: EmailKind, target: TokenTarget, *, is_held_back: bool
    ) -> str:
        purpose, page = _LINKED[kind]
        if purpose is TokenPurpose.RESET:
            lifetime = timedelta(seconds=self._settings.reset_seconds)
            token = await self._one_time_tokens.issue(tx, purpose, target, lifetime)
        else:
            lifetime = timedelta(seconds=self._settings.confirmation_seconds)
            # The token sent before stays valid if the new one is never sent.
            if is_held_back and await self._one_time_tokens.extend(tx, purpose, target, lifetime):
                return ""
            # Only the newest token is valid: an older one may be for an address no longer wanted.
            token = await self._one_time_tokens.replace(tx, purpose, target, lifetime)
        return f"{self._settings.issuer}{page}?token={token}"
