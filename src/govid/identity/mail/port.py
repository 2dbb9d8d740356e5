"""E-mail transports: the message, the protocol of a transport, and its implementations."""

from email.message import EmailMessage as MimeMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime
from typing import Protocol
from uuid import UUID

import msgspec

from govid.bus import Clock

EMAIL_DEPENDENCY = "mail"
"""The name of the e-mail transport in outages, logs and metrics."""


class EmailMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An e-mail to one recipient. It may hold a one-time token, which is a secret."""

    id: UUID
    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        """Name the e-mail only (I9)."""
        return f"<EmailMessage {self.id}>"


class AddressRefused(Exception):
    """The server rejects the address permanently, so that a retry would not help."""


class EmailTransport(Protocol):
    """Sends e-mails."""

    @property
    def accepts_unicode(self) -> bool:
        """Whether an address may hold non-ASCII characters (RFC 6531)."""

    async def send(self, message: EmailMessage) -> None:
        """Hand *message* over for delivery.

        Raises:
            Outage: the transport is unavailable at the moment.
            AddressRefused: the address is rejected permanently.
        """


class MessageBuilder:
    """Builds the RFC 5322 form of e-mails."""

    def __init__(self, sender: str, clock: Clock) -> None:
        """Use *sender*, an address, as the author."""
        self.domain = sender.rpartition("@")[2]
        self._sender = sender
        self._clock = clock

    def build(self, message: EmailMessage) -> MimeMessage:
        """Return the MIME message of *message*.

        A repeated send has the same `Message-ID`, so that a mail client may drop the duplicate. The
        token in each copy is valid for its own lifetime.
        """
        built = MimeMessage(policy=SMTPUTF8)
        built["From"] = self._sender
        built["To"] = message.to
        built["Subject"] = message.subject
        built["Date"] = format_datetime(self._clock.now())
        built["Message-ID"] = f"<{message.id}@{self.domain}>"
        # Prevents automatic replies and receipts (RFC 3834).
        built["Auto-Submitted"] = "auto-generated"
        built.set_content(message.text)
        return built
