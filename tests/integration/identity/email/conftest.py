"""The e-mail outbox on a real database, with a transport that a test controls."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from govid.bus import Database, PseudonymGenerator, QuotaCounters
from govid.bus.events import LetterWritten
from govid.identity.email.outgoing import EmailOutbox, EmailSender
from govid.identity.email.transports import EmailMessage
from govid.identity.repository.accounts import PasswordAccountRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens
from govid.identity.repository.outgoing_email import EmailKind, OutgoingEmailRepository
from tests.integration.identity.conftest import CONTEXT, SETTINGS, IdentityFixture, build_delivery


class RecordingTransport:
    """A transport that records e-mails, or fails if a test wants it to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.failure: Exception | None = None

    async def send(self, mail: EmailMessage) -> None:
        if self.failure is not None:
            raise self.failure
        self.mails.append(mail)


class EmailFixture(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an e-mail passes."""

    identity: IdentityFixture
    transport: RecordingTransport
    sender: EmailSender
    outgoing: EmailOutbox

    async def write(self, kind: EmailKind, account_id: UUID | None, address: str | None) -> UUID:
        async with self.identity.uow.begin(CONTEXT) as tx:
            return await self.outgoing.enqueue(
                tx, kind, account_id, address, subject=(address or "").lower()
            )

    def delivery(self, letter_id: UUID, *, is_held_back: bool = False) -> Any:
        event = LetterWritten(
            letter_id=letter_id,
            kind="reset",
            is_held_back=is_held_back,
            timestamp=msgspec.UNSET,  # type: ignore[arg-type]  # never read
        )
        return build_delivery(event)

    async def deliver(self, letter_id: UUID, *, is_held_back: bool = False) -> None:
        """Do what the dispatcher does with one delivery."""
        delivery = self.delivery(letter_id, is_held_back=is_held_back)
        await self.sender.prepare(delivery)
        async with self.identity.uow.begin(CONTEXT) as tx:
            await self.sender.apply(tx, delivery, None)


@pytest.fixture
async def emails(identity: IdentityFixture, database: Database) -> EmailFixture:
    """Return the e-mail outbox of the test's database."""
    letters, tray = OutgoingEmailRepository(), RecordingTransport()
    return EmailFixture(
        identity=identity,
        transport=tray,
        sender=EmailSender(
            identity.uow, letters, OneTimeTokens(), PasswordAccountRepository(), tray, SETTINGS
        ),
        outgoing=EmailOutbox(
            letters,
            QuotaCounters("identity.quota"),
            PseudonymGenerator(b"k" * 32),
            is_enabled=True,
            max_per_hour=0,
        ),
    )
