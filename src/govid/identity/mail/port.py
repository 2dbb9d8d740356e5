"""What a mail is, and what whoever sends it has to be able to."""

from email.message import EmailMessage as MimeMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime
from typing import Protocol
from uuid import UUID

import msgspec

from govid.bus import Clock

DEPENDENCY = "mail"
"""What an outage of the mail is called in logs and metrics."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to one person. It may hold a link that is as good as a password, once."""

    id: UUID
    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        """Name the mail only (I9)."""
        return f"<Mail {self.id}>"


class AddressRefused(Exception):
    """Nobody takes mail at this address, and trying again would not change that."""


class Mailer(Protocol):
    """A way for mail to leave."""

    @property
    def takes_unicode(self) -> bool:
        """Whether mail can be sent to an address with letters beyond ASCII (RFC 6531)."""

    async def send(self, mail: Mail) -> None:
        """Hand *mail* over to somebody who will deliver it.

        Raises:
            Outage: not now.
            AddressRefused: never.
        """


class Writer:
    """Puts mails into the form in which they travel (RFC 5322)."""

    def __init__(self, sender: str, clock: Clock) -> None:
        """Write in the name of *sender*, an address."""
        self.domain = sender.rpartition("@")[2]
        self._sender = sender
        self._clock = clock

    def write(self, mail: Mail) -> MimeMessage:
        """Return *mail* as a message.

        Sent again it has the same name, so that who has seen it may drop it: every copy's link is
        good as long as its own time.
        """
        message = MimeMessage(policy=SMTPUTF8)
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{mail.id}@{self.domain}>"
        # Nobody answers it by machine, and no filter asks for a receipt (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message
