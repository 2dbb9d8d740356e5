"""Writes letters in the transaction of their cause; the postman takes them from there."""

import logging
from uuid import UUID, uuid4

from govid.bus import Pseudonyms, Quota, Quotas, Transaction
from govid.bus.contracts import LetterWritten
from govid.identity.errors import MailIsOff
from govid.identity.repository.letters import LetterKind, Letters
from govid.identity.rules import canonical

log = logging.getLogger(__name__)

HOUR_SECONDS = 3600


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

        One recipient gets *most_per_hour* e-mails, whichever accounts cause them; 0 is no limit.
        Recipients are counted in *counters* by their pseudonyms.
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
        is_exempt: bool = False,
    ) -> UUID:
        """Store an e-mail that was asked for; return its id.

        Without an account it reaches no one. It is stored all the same, because the time that a
        request takes must not tell whether an address has an account. The same is done with an
        e-mail above its recipient's quota, unless it *is_exempt*.
        """
        if await self._is_above_quota(tx, address) and not is_exempt:
            log.info("mail.recipient_quota", extra={"operation": kind})
            account_id = address = None
        letter_id = await self._letters.add(tx, kind, account_id, address)
        tx.emit(LetterWritten(letter_id=letter_id, kind=kind, timestamp=tx.now))
        return letter_id

    async def tell(self, tx: Transaction, kind: LetterKind, account_id: UUID, address: str) -> None:
        """Write a letter that tells what has happened, if there is mail at all."""
        if self._is_open:
            await self.ask(tx, kind, account_id, address)

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

    async def _is_above_quota(self, tx: Transaction, address: str | None) -> bool:
        if not self._most_per_hour:
            return False
        # Also where there is no recipient, with the same statement: its time must not tell. The row
        # is nobody else's either, so that nobody waits for it.
        subject = canonical(address) if address is not None else uuid4().hex
        quota = Quota(
            kind="emails",
            bucket=self._pseudonyms.of(f"emails:{subject}"),
            most=self._most_per_hour,
            seconds=HOUR_SECONDS,
        )
        return await self._counters.count(tx, [quota]) is not None
