"""Writes letters in the transaction of their cause; the postman takes them from there."""

import logging
from uuid import UUID

from govid.bus import Pseudonyms, Quota, Quotas, Transaction
from govid.bus.contracts import LetterWritten
from govid.identity.errors import MailIsOff
from govid.identity.repository.letters import LetterKind, Letters
from govid.identity.repository.owners import Owner
from govid.identity.rules import canonical

log = logging.getLogger(__name__)

HOUR_SECONDS = 3600
NOTICES_PER_HOUR = 10
"""How many notices of one kind an owner gets: an eleventh would only repeat the other ten."""


class Correspondence:
    """Writes letters.

    A letter and its cause commit together, and so does the event that brings the postman: what
    happened is told, and what did not happen is not. The event names the letter and nobody else.
    """

    def __init__(
        self,
        letters: Letters,
        counters: Quotas,
        pseudonyms: Pseudonyms,
        *,
        is_open: bool,
        most_per_hour: int,
    ) -> None:
        """Write only if mail can be delivered: with *is_open*.

        One recipient gets *most_per_hour* e-mails of each kind that is asked for, whichever
        accounts cause them; 0 is no limit, for notices neither. Recipients are counted in
        *counters* by their pseudonyms.
        """
        self._letters = letters
        self._counters = counters
        self._pseudonyms = pseudonyms
        self._is_open = is_open
        self._most_per_hour = most_per_hour

    def require(self) -> None:
        """Refuse what makes no sense without mail.

        Raises:
            MailIsOff: nobody could deliver a letter.
        """
        if not self._is_open:
            raise MailIsOff

    async def ask(
        self,
        tx: Transaction,
        kind: LetterKind,
        account_id: UUID | None,
        address: str | None,
        *,
        subject: str,
        is_exempt: bool = False,
    ) -> UUID:
        """Store an e-mail that was asked for; return its id.

        Without an account it reaches no one. It is stored all the same, because the time that a
        request takes must not tell whether an address has an account.

        It is counted for *subject*, the canonical form of the address that was typed, whether or
        not an account has it. Above the quota it is held back, unless it *is_exempt*: it is stored
        like any other and its link is made, so that no export tells the difference, but no mail
        leaves. Each kind has a count of its own: what strangers ask for in the name of an address
        does not keep its owner from the links that only the owner can ask for.
        """
        is_above = await self._is_above(
            tx,
            Quota(
                kind=f"emails_{kind}",
                bucket=self._pseudonyms.of(f"emails:{subject}"),
                most=self._most_per_hour,
                seconds=HOUR_SECONDS,
            ),
        )
        is_held_back = is_above and not is_exempt
        if is_held_back:
            log.info("mail.recipient_quota", extra={"operation": kind})
        return await self._write(tx, kind, account_id, address, is_held_back=is_held_back)

    async def tell(self, tx: Transaction, kind: LetterKind, owner: Owner) -> None:
        """Write a letter that tells *owner* what has happened, if there is mail at all.

        What others ask for is not counted here. A notice is caused by an act with the right
        password, or with a link from the mailbox. It is counted by its account, which only such
        acts can do. An address that is not confirmed may be a stranger's: anybody can register it,
        close the account and begin again, so notices to it are counted by the address.
        """
        if not self._is_open:
            return
        is_proved = owner.email_confirmed_at is not None
        subject = str(owner.id) if is_proved else canonical(owner.email)
        quota = Quota(
            kind=f"notices_{kind}",
            bucket=self._pseudonyms.of(f"notices:{subject}"),
            most=NOTICES_PER_HOUR,
            seconds=HOUR_SECONDS,
        )
        if await self._is_above(tx, quota):
            log.info("mail.notice_quota", extra={"operation": kind})
        else:
            await self._write(tx, kind, owner.id, owner.email)

    async def is_first_this_hour(self, tx: Transaction, kind: LetterKind, subject: str) -> bool:
        """Count a request for *kind* in the name of *subject*, a canonical address.

        The first of each hour is sent, however many others have asked: an attacker who asks in
        the name of an account holder cannot keep the holder from getting any.
        """
        first = Quota(
            kind=f"first_{kind}",
            bucket=self._pseudonyms.of(f"emails:{subject}"),
            most=1,
            seconds=HOUR_SECONDS,
        )
        return await self._counters.count(tx, [first]) is None

    async def take_back(self, tx: Transaction, account_id: UUID) -> None:
        """Let no letter leave with a link that was asked for before something that ends links."""
        await self._letters.take_back(tx, account_id)

    async def _is_above(self, tx: Transaction, quota: Quota) -> bool:
        if not self._most_per_hour:
            return False
        return await self._counters.count(tx, [quota]) is not None

    async def _write(
        self,
        tx: Transaction,
        kind: LetterKind,
        account_id: UUID | None,
        address: str | None,
        *,
        is_held_back: bool = False,
    ) -> UUID:
        letter_id = await self._letters.add(tx, kind, account_id, address)
        tx.emit(
            LetterWritten(
                letter_id=letter_id, kind=kind, is_held_back=is_held_back, timestamp=tx.now
            )
        )
        return letter_id
