"""Sends stored e-mails (ADR-0015)."""

import logging
from datetime import timedelta

from govid.bus import Delivery, Transaction, UnitOfWork
from govid.bus.contracts import LetterWritten
from govid.bus.shared.account_status import AccountStatus
from govid.identity.mail.port import AddressRefused, EmailMessage, EmailTransport
from govid.identity.mail.texts import render_email
from govid.identity.repository.letters import EmailKind, OutgoingEmail, OutgoingEmailRepository
from govid.identity.repository.links import OneTimeTokens, TokenPurpose, TokenTarget
from govid.identity.repository.owners import PasswordAccount, PasswordAccountRepository
from govid.identity.rules import canonical_email
from govid.identity.settings import IdentitySettings

log = logging.getLogger(__name__)

SUBSCRIBER = "identity.letters"
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
            link = await self._link(tx, email.kind, target, is_held_back=event.is_held_back)
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

    async def _link(
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
