"""Writes letters in the transaction of their cause; the postman takes them from there."""

from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import LetterWritten
from govid.identity.errors import MailIsOff
from govid.identity.repository.letters import LetterKind, Letters


class Correspondence:
    """Writes letters.

    A letter and its cause commit together, and so does the event that brings the postman: what
    happened is told, and what did not happen is not. The event names the letter and nobody else.
    """

    def __init__(self, letters: Letters, *, is_open: bool) -> None:
        """Write only where somebody could deliver: with *is_open*."""
        self._letters = letters
        self._is_open = is_open

    def require(self) -> None:
        """Refuse what makes no sense without mail.

        Raises:
            MailIsOff: nobody could deliver a letter.
        """
        if not self._is_open:
            raise MailIsOff

    async def ask(
        self, tx: Transaction, kind: LetterKind, account_id: UUID | None, address: str | None
    ) -> UUID:
        """Write a letter that somebody asked for; return its id.

        Without an account it will reach nobody. It is written all the same, because whoever asks
        for an address must not learn, from the time it takes, whether anybody has it.
        """
        letter_id = await self._letters.add(tx, kind, account_id, address)
        tx.emit(LetterWritten(letter_id=letter_id, kind=kind, timestamp=tx.now))
        return letter_id

    async def tell(self, tx: Transaction, kind: LetterKind, account_id: UUID, address: str) -> None:
        """Write a letter that tells what has happened, if there is mail at all."""
        if self._is_open:
            await self.ask(tx, kind, account_id, address)

    async def take_back(self, tx: Transaction, account_id: UUID) -> None:
        """Let no letter leave with a link that was asked for before something that ends links."""
        await self._letters.take_back(tx, account_id)
