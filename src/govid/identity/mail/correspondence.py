"""Stores outgoing e-mails in the transaction of the change they report (e-mail outbox)."""

import logging
from uuid import UUID

from govid.bus import PseudonymGenerator, QuotaCounters, QuotaRule, Transaction
from govid.bus.contracts import LetterWritten
from govid.identity.errors import MailIsOff
from govid.identity.repository.letters import EmailKind, OutgoingEmailRepository
from govid.identity.repository.owners import PasswordAccount
from govid.identity.rules import canonical_email

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
        most_per_hour: int,
    ) -> None:
        """Store e-mails if a transport is configured (*is_enabled*).

        One recipient gets at most *most_per_hour* requested e-mails of each kind, whichever
        accounts cause them; 0 means no limit, neither for notices. Recipients are counted in
        *quotas* by their pseudonyms.
        """
        self._emails = emails
        self._quotas = quotas
        self._pseudonyms = pseudonyms
        self._is_enabled = is_enabled
        self._most_per_hour = most_per_hour

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
        is_above = await self._is_above(
            tx,
            QuotaRule(
                kind=f"emails_{kind}",
                bucket=self._pseudonyms.for_value(f"emails:{subject}"),
                limit=self._most_per_hour,
                seconds=HOUR_SECONDS,
            ),
        )
        is_held_back = is_above and not is_exempt
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
        if await self._is_above(tx, quota):
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

    async def withdraw_links(self, tx: Transaction, account_id: UUID) -> None:
        """Delete unsent e-mails with links, after a change that revokes the account's links."""
        await self._emails.delete_with_links(tx, account_id)

    async def _is_above(self, tx: Transaction, quota: QuotaRule) -> bool:
        if not self._most_per_hour:
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
