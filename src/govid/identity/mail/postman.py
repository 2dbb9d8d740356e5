"""Brings letters on their way (ADR-0015)."""

import logging
from datetime import timedelta

from govid.bus import Delivery, Transaction, UnitOfWork
from govid.bus.contracts import LetterWritten
from govid.bus.shared.account_status import AccountStatus
from govid.identity.mail.port import AddressRefused, Mail, Mailer
from govid.identity.mail.texts import compose
from govid.identity.repository.letters import Letter, LetterKind, Letters
from govid.identity.repository.links import Links, Promise, Purpose
from govid.identity.repository.owners import Owner, Owners
from govid.identity.rules import canonical
from govid.identity.settings import IdentitySettings

log = logging.getLogger(__name__)

SUBSCRIBER = "identity.letters"
RESET_PAGE = "/reset"
CONFIRM_PAGE = "/account/confirm"

_LINKED = {
    LetterKind.RESET: (Purpose.RESET, RESET_PAGE),
    LetterKind.EMAIL_CONFIRMATION: (Purpose.EMAIL, CONFIRM_PAGE),
    LetterKind.EMAIL_CHANGE: (Purpose.EMAIL, CONFIRM_PAGE),
}


class Postman:
    """Sends each letter at least once.

    The token of a link is made here, at the last moment: its digest commits in a transaction of
    its own before the mail leaves, so a link works as soon as it is read. It stands in the mail
    and nowhere else. A process that dies between the two sends again, with another token; both
    are good for their time.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        letters: Letters,
        links: Links,
        owners: Owners,
        mailer: Mailer,
        settings: IdentitySettings,
    ) -> None:
        """Send by *mailer*."""
        self._uow = uow
        self._letters = letters
        self._links = links
        self._owners = owners
        self._mailer = mailer
        self._settings = settings

    async def prepare(self, delivery: Delivery[LetterWritten]) -> None:
        """Send the letter, unless it was taken back or what it offers is no longer to be had."""
        async with self._uow.begin(delivery.cause(SUBSCRIBER)) as tx:
            mail = await self._mail(tx, delivery.event)
        if mail is None:
            return
        try:
            await self._mailer.send(mail)
        except AddressRefused:
            # The letter goes no further: an address that does not exist gets no better.
            log.warning("mail.refused", extra={"event_id": str(delivery.id)})

    async def apply(
        self,
        tx: Transaction,
        delivery: Delivery[LetterWritten],
        outcome: None,  # noqa: ARG002 - the handler's face
    ) -> None:
        """Forget the letter."""
        await self._letters.remove(tx, delivery.event.letter_id)

    async def _mail(self, tx: Transaction, event: LetterWritten) -> Mail | None:
        letter = await self._letters.find(tx, event.letter_id)
        if letter is None or letter.account_id is None or letter.address is None:
            return None
        link = ""
        if letter.kind in _LINKED:
            # Against what commits meanwhile and ends all links: it would leave this one alive. It
            # also takes the letter back, so that has to be looked for again.
            owner = await self._owners.lock(tx, letter.account_id, write=False)
            if owner is None or await self._letters.find(tx, letter.id) is None:
                return None
            is_due = await self._is_due(tx, letter, owner)
            is_change = letter.kind is LetterKind.EMAIL_CHANGE
            if not is_due and (not is_change or owner.status == AccountStatus.BLOCKED):
                return None
            # The export lists the request whatever became of it, else it would tell whether
            # another address is taken, or how many letters it got. Nobody gets the token.
            promise = Promise(account_id=owner.id, address=letter.address)
            link = await self._link(tx, letter.kind, promise, is_held_back=event.is_held_back)
            if event.is_held_back or not is_due:
                return None
        subject, text = compose(
            letter.kind,
            written_at=letter.written_at,
            link=link,
            minutes=self._settings.reset_seconds // 60,
            hours=self._settings.confirmation_seconds // 3600,
            held_days=self._settings.closed_identifier_days,
        )
        return Mail(id=letter.id, to=letter.address, subject=subject, text=text)

    async def _is_due(self, tx: Transaction, letter: Letter, owner: Owner) -> bool:
        """Tell whether what the letter offers can still be had."""
        if owner.status == AccountStatus.BLOCKED or letter.address is None:
            return False
        if letter.kind is LetterKind.EMAIL_CHANGE:
            holder = await self._owners.with_address(tx, canonical(letter.address))
            return holder is None or holder.id == owner.id
        return owner.email == letter.address

    async def _link(
        self, tx: Transaction, kind: LetterKind, promise: Promise, *, is_held_back: bool
    ) -> str:
        purpose, page = _LINKED[kind]
        if purpose is Purpose.RESET:
            lifetime = timedelta(seconds=self._settings.reset_seconds)
            token = await self._links.issue(tx, purpose, promise, lifetime)
        else:
            lifetime = timedelta(seconds=self._settings.confirmation_seconds)
            # What was mailed a moment ago stays good if its successor is never mailed.
            if is_held_back and await self._links.prolong(tx, purpose, promise, lifetime):
                return ""
            # Only the newest can be followed: an older one may lead to an address given up since.
            token = await self._links.replace(tx, purpose, promise, lifetime)
        return f"{self._settings.issuer}{page}?token={token}"
